//! Rust source as tokens: enough of the language to follow names, without a parser of it.

/// A piece of Rust source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An identifier, a keyword or a number.
    Word(String),
    /// What stands in a string literal.
    Text(String),
    /// `::`.
    Path,
    /// Any other character.
    Sign(char),
}

impl Token {
    pub fn is(&self, sign: char) -> bool {
        *self == Token::Sign(sign)
    }

    /// The word that it is; empty for other tokens.
    pub fn word(&self) -> &str {
        match self {
            Token::Word(word) => word,
            _ => "",
        }
    }
}

/// The tokens of a source, without comments, lifetimes and characters.
pub fn tokens(source: &str) -> Vec<Token> {
    let source: Vec<char> = source.chars().collect();
    let mut reader = Reader { source: &source, at: 0 };
    let mut tokens = Vec::new();
    while reader.at < source.len() {
        tokens.extend(reader.next());
    }
    tokens
}

struct Reader<'a> {
    source: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.source.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn next(&mut self) -> Option<Token> {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while self.at < self.source.len() && self.peek(0) != '\n' {
                    self.at += 1;
                }
                None
            }
            ('/', '*') => self.block_comment(),
            ('"', _) => Some(self.text()),
            ('\'', _) => self.quote(),
            (':', ':') => {
                self.at += 2;
                Some(Token::Path)
            }
            (first, _) if first.is_alphanumeric() || first == '_' => Some(self.word()),
            (first, _) => {
                self.at += 1;
                (!first.is_whitespace()).then_some(Token::Sign(first))
            }
        }
    }

    /// Block comments can stand in each other.
    fn block_comment(&mut self) -> Option<Token> {
        let mut depth = 0;
        while self.at < self.source.len() {
            let step = match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    2
                }
                ('*', '/') => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            self.at += step;
            if depth == 0 {
                break;
            }
        }
        None
    }

    /// A word; of a literal such as `b"…"` or `r#"…"#` what stands in it.
    fn word(&mut self) -> Token {
        let start = self.at;
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            self.at += 1;
        }
        let word: String = self.source[start..self.at].iter().collect();
        let hashes = (0..).take_while(|&ahead| self.peek(ahead) == '#').count();
        match (&word[..], self.peek(hashes)) {
            ("r" | "br" | "cr", '"') => {
                self.at += hashes;
                self.raw_text(hashes)
            }
            ("b" | "c", '"') if hashes == 0 => self.text(),
            _ => Token::Word(word),
        }
    }

    fn text(&mut self) -> Token {
        self.at += 1;
        let start = self.at;
        while self.at < self.source.len() && self.peek(0) != '"' {
            self.at += if self.peek(0) == '\\' { 2 } else { 1 };
        }
        let end = self.at.min(self.source.len());
        self.at = end + 1;
        Token::Text(self.source[start..end].iter().collect())
    }

    fn raw_text(&mut self, hashes: usize) -> Token {
        self.at += 1;
        let start = self.at;
        let ends = |reader: &Self| {
            reader.peek(0) == '"' && (1..=hashes).all(|ahead| reader.peek(ahead) == '#')
        };
        while self.at < self.source.len() && !ends(self) {
            self.at += 1;
        }
        let end = self.at;
        self.at += 1 + hashes;
        Token::Text(self.source[start..end].iter().collect())
    }

    /// A character, or a lifetime, which has no quote behind it.
    fn quote(&mut self) -> Option<Token> {
        if self.peek(1) == '\\' {
            self.at += 3; // the quote, the backslash and what it escapes
            while self.at < self.source.len() && self.peek(0) != '\'' {
                self.at += 1;
            }
            self.at += 1;
        } else if self.peek(2) == '\'' {
            self.at += 3;
        } else {
            self.at += 1;
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.at += 1;
            }
        }
        None
    }
}

/// The place behind the bracket that closes the one at `open`.
pub fn behind(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Without the items, fields and statements that are there for tests only (`#[cfg(test)]`).
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut rest = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match attribute(tokens, at) {
            Some(end) if is_for_tests(&tokens[at..end]) => at = behind_item(tokens, end),
            _ => {
                rest.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    rest
}

/// The place behind the attribute that begins here, `#[…]`.
pub fn attribute(tokens: &[Token], at: usize) -> Option<usize> {
    let opens = tokens[at].is('#') && tokens.get(at + 1).is_some_and(|token| token.is('['));
    opens.then(|| behind(tokens, at + 1))
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token.word() == word);
    has("cfg") && (has("test") || has("doctest")) && !has("not")
}

/// The place behind an item, a field or a statement that begins here, perhaps with attributes.
fn behind_item(tokens: &[Token], mut at: usize) -> usize {
    const ITEMS: [&str; 15] = [
        "fn",
        "struct",
        "enum",
        "mod",
        "use",
        "impl",
        "trait",
        "const",
        "static",
        "type",
        "unsafe",
        "async",
        "extern",
        "macro_rules",
        "let",
    ];
    while let Some(end) = tokens.get(at).and_then(|_| attribute(tokens, at)) {
        at = end;
    }
    if tokens.get(at).is_some_and(|token| token.word() == "pub") {
        at += 1;
        if tokens.get(at).is_some_and(|token| token.is('(')) {
            at = behind(tokens, at);
        }
    }
    let is_item = tokens.get(at).is_some_and(|token| ITEMS.contains(&token.word()));
    while at < tokens.len() {
        match tokens[at] {
            Token::Sign(';') => return at + 1,
            Token::Sign(',') if !is_item => return at + 1,
            Token::Sign('{') => return behind(tokens, at),
            Token::Sign('(' | '[') => at = behind(tokens, at),
            Token::Sign(')' | ']' | '}') => return at,
            _ => at += 1,
        }
    }
    at
}
