//! Places where code passes silently over what isn't as it wants it to be.
//!
//! A fast path asks for something that there may not be: an array's values in one piece, a mapped
//! buffer, an entry of a map. Where the answer is no it has to do without, or to fail. What does
//! neither drops values without a word, as `if let Some(values) = array.as_slice_mut() { … }` does
//! with an array in another order.

use crate::tokens::{Token, behind, tokens, without_tests};

/// Questions whose answer, an `Option`, a `Result` or a flag, has to be dealt with on the spot.
const QUESTIONS: [&str; 14] = [
    "as_slice",
    "as_slice_mut",
    "as_slice_memory_order",
    "as_slice_memory_order_mut",
    "to_slice",
    "into_slice",
    "try_as_slice",
    "is_standard_layout",
    "try_cast_slice",
    "try_cast_slice_mut",
    "get_mapped_range",
    "get_mapped_range_mut",
    "get",
    "get_mut",
];

/// Questions that may have a default for an answer (an entry that isn't there often counts as
/// zero), or a `Result` for one, which the compiler doesn't let pass.
const MAY_BE_ANSWERED_LATER: [&str; 4] =
    ["get", "get_mut", "get_mapped_range", "get_mapped_range_mut"];

/// The questions of a source whose "no" is passed over, each as the code that asks.
pub fn silent_skips(source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let is_question = |at: &usize| {
        QUESTIONS.contains(&tokens[*at].word())
            && at.checked_sub(1).is_some_and(|before| tokens[before].is('.'))
            && tokens.get(at + 1).is_some_and(|token| token.is('('))
    };
    let asked = (0..tokens.len()).filter(is_question);
    asked.filter(|&at| !is_dealt_with(&tokens, at)).map(|at| shown(&tokens, at)).collect()
}

/// The statement up to the question, for messages and for the list of what was looked at.
fn shown(tokens: &[Token], at: usize) -> String {
    let start = start_of_statement(tokens, at);
    let text = |token: &Token| match token {
        Token::Word(word) if ["if", "let", "match", "while", "mut"].contains(&&word[..]) => {
            format!("{word} ")
        }
        Token::Word(word) => word.clone(),
        Token::Text(text) => format!("{text:?}"),
        Token::Path => "::".to_string(),
        Token::Sign('=') => " = ".to_string(),
        Token::Sign(sign) => sign.to_string(),
    };
    tokens[start..=at].iter().map(text).collect()
}

fn start_of_statement(tokens: &[Token], at: usize) -> usize {
    let ends = |token: &Token| matches!(token, Token::Sign(';' | '{' | '}'));
    tokens[..at].iter().rposition(ends).map_or(0, |before| before + 1)
}

fn is_dealt_with(tokens: &[Token], question: usize) -> bool {
    let may_be_answered_later = MAY_BE_ANSWERED_LATER.contains(&tokens[question].word());
    let mut at = behind(tokens, question + 1);
    loop {
        match tokens.get(at) {
            Some(Token::Sign('?')) => return true,
            Some(Token::Sign('.')) => match tokens.get(at + 1).map_or("", Token::word) {
                "ok_or" | "ok_or_else" | "map_err" => return true,
                "copied" | "cloned" | "as_ref" | "as_mut" | "filter" => {
                    at = behind(tokens, at + 2);
                }
                _ => return may_be_answered_later,
            },
            // A tuple that is looked at as a whole.
            Some(Token::Sign(')' | ',')) => match behind_group(tokens, at) {
                Some(end) if tokens.get(end).is_some_and(|token| token.is('{')) => at = end,
                _ => return may_be_answered_later,
            },
            Some(Token::Sign('{')) => return is_answered(tokens, question, at),
            Some(Token::Word(word)) if word == "else" => return fails(tokens, at + 1),
            _ => return may_be_answered_later,
        }
    }
}

/// The place behind the bracket that closes the group in which this token stands.
fn behind_group(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(at) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')') if depth == 0 => return Some(at + 1),
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the `if`, `match` or `while` whose block opens here has an answer to a no.
fn is_answered(tokens: &[Token], question: usize, open: usize) -> bool {
    let start = start_of_statement(tokens, question);
    let keyword = tokens[start..question]
        .iter()
        .rev()
        .map(Token::word)
        .find(|word| ["if", "match", "while"].contains(word));
    let end = behind(tokens, open);
    match keyword {
        Some("match") => !has_empty_arm(&tokens[open + 1..end - 1]),
        Some("if") => {
            let returns = tokens[open..end].iter().any(|token| token.word() == "return");
            returns || tokens.get(end).is_some_and(|token| token.word() == "else")
        }
        _ => false,
    }
}

/// Whether a match has an arm that does nothing: `=> {}`, `=> ()`, `=> continue` or `=> return`.
fn has_empty_arm(arms: &[Token]) -> bool {
    let is = |at: usize, sign: char| arms.get(at).is_some_and(|token| token.is(sign));
    let ends = |at: usize| at >= arms.len() || is(at, ',') || is(at, '}');
    (0..arms.len()).filter(|&at| is(at, '=') && is(at + 1, '>')).any(|at| {
        let next = at + 2;
        match arms.get(next) {
            Some(Token::Sign('{')) => is(next + 1, '}'),
            Some(Token::Sign('(')) => is(next + 1, ')'),
            Some(Token::Word(word)) => {
                ["continue", "return", "break"].contains(&&word[..]) && ends(next + 1)
            }
            _ => false,
        }
    })
}

/// Whether a block is left with an error.
fn fails(tokens: &[Token], open: usize) -> bool {
    tokens[open..behind(tokens, open)]
        .iter()
        .any(|token| ["Err", "panic", "unreachable"].contains(&token.word()) || token.is('?'))
}
