//! Reads a pickle, the list of instructions by which Python saves objects, without following any
//! that would call or import something: of these only the names are kept.
//!
//! Values stand in one list and refer to each other by their places in it. So a value that is
//! fetched a million times costs nothing, objects may refer to themselves, and however deep they
//! are nested, they are given back without recursion.

/// The place of a value in [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// What an instruction makes.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// What no state dict needs: None, floats, …
    Other,
    Bool(bool),
    Integer(i64),
    /// A text or bytes, in UTF-8 as a rule.
    Text(&'a [u8]),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values, in the order in which they were set.
    Dict(Vec<(Id, Id)>),
    /// A class or function, by the texts of its module and its name.
    Global(Id, Id),
    /// What is kept outside of the pickle, such as the values of a tensor, by what names it.
    Persistent(Id),
    /// What a call would return, and the state that would be set then.
    Call {
        callee: Id,
        arguments: Id,
        state: Option<Id>,
    },
}

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    pub root: Id,
    /// How many bytes it takes.
    pub bytes: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that these bytes begin with. It may make `most` values.
    pub(super) fn read(bytes: &'a [u8], most: usize) -> Result<Pickle<'a>, String> {
        let mut machine = Machine::new(bytes, most);
        while machine.step()? {}
        let root = machine.pop()?;
        Ok(Pickle { values: machine.values, root, bytes: bytes.len() - machine.rest.len() })
    }

    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        self.values.get(id.0 as usize).unwrap_or(&Value::Other)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.values.iter()
    }

    /// The items of a tuple or a list.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// How many entries a dict has; 0: it is none.
    pub(super) fn length(&self, dict: Id) -> usize {
        match self.get(dict) {
            Value::Dict(entries) => entries.len(),
            _ => 0,
        }
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a [u8]> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The module and the name of a class or function.
    pub(super) fn global(&self, id: Id) -> Option<(&'a [u8], &'a [u8])> {
        match *self.get(id) {
            Value::Global(module, name) => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }

    /// The value of a dict's last entry with this key.
    pub(super) fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let Value::Dict(entries) = self.get(dict) else { return None };
        let of_key = |(found, _): &&(Id, Id)| self.text(*found) == Some(key.as_bytes());
        entries.iter().rev().find(of_key).map(|(_, value)| *value)
    }
}

/// The stack machine that a pickle's instructions are written for.
struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// The heights of the stack at the marks that are open.
    marks: Vec<usize>,
    /// What is kept to be fetched again, by numbers that Python counts up from 0.
    memo: Vec<Option<Id>>,
    /// How many of these there are.
    kept: usize,
    /// What may still be put anywhere.
    left: usize,
    most: usize,
}

type Done = Result<(), String>;

impl<'a> Machine<'a> {
    fn new(rest: &'a [u8], most: usize) -> Machine<'a> {
        let (values, stack, marks) = (Vec::new(), Vec::new(), Vec::new());
        let most = most.min(u32::MAX as usize);
        Machine { rest, values, stack, marks, memo: Vec::new(), kept: 0, left: most, most }
    }

    /// Follows an instruction; false after the last one.
    fn step(&mut self) -> Result<bool, String> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => return Ok(false),
            0x80 => drop(self.byte()?),  // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => self.mark()?,
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.duplicate()?,
            b'p' | b'q' | b'r' | 0x94 => self.put(opcode)?,
            b'g' | b'h' | b'j' => self.fetch(opcode)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(opcode)?,
            b'b' => self.set_state()?,
            b'P' | b'Q' => self.persistent(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' | 0x81 | 0x92 | b'i' | b'o' => self.call(opcode)?,
            _ => match self.collection(opcode)? {
                Some(value) => self.push(value)?,
                None => {
                    let value = self.scalar(opcode)?;
                    self.push(value)?;
                }
            },
        }
        Ok(true)
    }

    fn scalar(&mut self, opcode: u8) -> Result<Value<'a>, String> {
        Ok(match opcode {
            b'N' => Value::Other,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' | b'L' => integer_in_words(self.line()?),
            b'J' => Value::Integer(i64::from(self.length(4)? as u32 as i32)),
            b'K' => Value::Integer(self.length(1)? as i64),
            b'M' => Value::Integer(self.length(2)? as i64),
            0x8a => long(self.counted(1)?),
            0x8b => long(self.counted(4)?),
            b'F' => self.other_line()?,
            b'G' => self.take(8).map(|_| Value::Other)?,
            b'S' => Value::Text(unquoted(self.line()?)),
            b'V' => Value::Text(self.line()?),
            b'C' | b'U' | 0x8c => Value::Text(self.counted(1)?),
            b'B' | b'T' | b'X' => Value::Text(self.counted(4)?),
            0x8d | 0x8e | 0x96 => Value::Text(self.counted(8)?),
            _ => return Err(format!("the instruction {opcode:#04x} isn't known")),
        })
    }

    /// What an instruction collects from the stack; none where it is another one.
    fn collection(&mut self, opcode: u8) -> Result<Option<Value<'a>>, String> {
        Ok(Some(match opcode {
            b')' => Value::Tuple(Vec::new()),
            b']' | 0x8f => Value::List(Vec::new()), // a set is a list, too
            b'}' => Value::Dict(Vec::new()),
            b't' | 0x91 => Value::Tuple(self.pop_to_mark()?),
            b'l' => Value::List(self.pop_to_mark()?),
            b'd' => Value::Dict(pairs(self.pop_to_mark()?)?),
            0x85..=0x87 => Value::Tuple(self.pop_many(usize::from(opcode - 0x84))?),
            _ => return Ok(None),
        }))
    }

    fn duplicate(&mut self) -> Done {
        let top = self.pop()?;
        self.stack.push(top);
        self.push_id(top)
    }

    fn put(&mut self, opcode: u8) -> Done {
        let key = match opcode {
            0x94 => self.kept,
            _ => self.memo_key(opcode == b'p', if opcode == b'q' { 1 } else { 4 })? as usize,
        };
        let top = *self.stack.last().ok_or_else(underflow)?;
        self.count()?;
        if key >= self.most {
            return Err(format!(
                "a value is kept as number {key}, and at most {} are read (TorchLimits::values)",
                self.most
            ));
        }
        if key >= self.memo.len() {
            self.memo.resize(key + 1, None);
        }
        if self.memo[key].replace(top).is_none() {
            self.kept += 1;
        }
        Ok(())
    }

    fn fetch(&mut self, opcode: u8) -> Done {
        let key = self.memo_key(opcode == b'g', if opcode == b'h' { 1 } else { 4 })?;
        match self.memo.get(key as usize).copied().flatten() {
            Some(id) => self.push_id(id),
            None => Err(format!("the value {key} is fetched, and was never kept")),
        }
    }

    fn memo_key(&mut self, is_line: bool, bytes: usize) -> Result<u32, String> {
        if !is_line {
            return Ok(self.length(bytes)? as u32); // of at most four bytes
        }
        let line = self.line()?;
        let number = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| "the number of a value is none".to_string())
    }

    /// Adds to the list, set or dict below; what only a call would return takes nothing.
    fn extend(&mut self, opcode: u8) -> Done {
        let items = match opcode {
            b'a' => self.pop_many(1)?,
            b's' => self.pop_many(2)?,
            _ => self.pop_to_mark()?,
        };
        let is_dict = matches!(opcode, b's' | b'u');
        let target = *self.stack.last().ok_or_else(underflow)?;
        match (self.values.get_mut(target.0 as usize), is_dict) {
            (Some(Value::List(list)), false) => list.extend(items),
            (Some(Value::Dict(dict)), true) => dict.extend(pairs(items)?),
            (Some(Value::Call { .. }), _) => {}
            _ => return Err("items are added to what takes none".to_string()),
        }
        Ok(())
    }

    fn set_state(&mut self) -> Done {
        let new_state = self.pop()?;
        let target = *self.stack.last().ok_or_else(underflow)?;
        if let Some(Value::Call { state, .. }) = self.values.get_mut(target.0 as usize) {
            *state = Some(new_state);
        }
        Ok(())
    }

    fn persistent(&mut self, opcode: u8) -> Done {
        let id = match opcode {
            b'P' => {
                let name = self.line()?;
                self.new_value(Value::Text(name))?
            }
            _ => self.pop()?,
        };
        self.push(Value::Persistent(id))
    }

    fn global(&mut self, opcode: u8) -> Done {
        let (module, name) = match opcode {
            b'c' => self.global_lines()?,
            _ => {
                let name = self.pop()?;
                (self.pop()?, name)
            }
        };
        self.push(Value::Global(module, name))
    }

    fn global_lines(&mut self) -> Result<(Id, Id), String> {
        let (module, name) = (self.line()?, self.line()?);
        Ok((self.new_value(Value::Text(module))?, self.new_value(Value::Text(name))?))
    }

    fn call(&mut self, opcode: u8) -> Done {
        let (callee, arguments) = match opcode {
            b'i' => {
                let (module, name) = self.global_lines()?;
                let arguments = self.pop_to_mark()?;
                (self.new_value(Value::Global(module, name))?, arguments)
            }
            b'o' => {
                let mut items = self.pop_to_mark()?.into_iter();
                (items.next().ok_or_else(underflow)?, items.collect())
            }
            _ => return self.call_from_stack(opcode),
        };
        let arguments = self.new_value(Value::Tuple(arguments))?;
        self.push(Value::Call { callee, arguments, state: None })
    }

    fn call_from_stack(&mut self, opcode: u8) -> Done {
        if opcode == 0x92 {
            self.pop()?; // arguments by name
        }
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let value = match self.dict_class(callee) {
            Some("OrderedDict") => Value::Dict(self.first_entries(arguments)),
            Some(_) => Value::Dict(Vec::new()),
            None => Value::Call { callee, arguments, state: None },
        };
        self.push(value)
    }

    /// Which of the classes that are dicts it is.
    fn dict_class(&self, callee: Id) -> Option<&'static str> {
        let Some(&Value::Global(module, name)) = self.values.get(callee.0 as usize) else {
            return None;
        };
        match (self.text(module)?, self.text(name)?) {
            (b"collections", b"OrderedDict") => Some("OrderedDict"),
            (b"collections", b"defaultdict") => Some("defaultdict"),
            _ => None,
        }
    }

    fn text(&self, id: Id) -> Option<&'a [u8]> {
        match self.values.get(id.0 as usize) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The entries that an OrderedDict is made with: a list of pairs, where there is one.
    fn first_entries(&self, arguments: Id) -> Vec<(Id, Id)> {
        let items = |id: &Id| match self.values.get(id.0 as usize) {
            Some(Value::List(items) | Value::Tuple(items)) => &items[..],
            _ => &[],
        };
        let list = items(&arguments).first().map_or(&[][..], items);
        let pair = |id| match items(id) {
            [key, value] => Some((*key, *value)),
            _ => None,
        };
        list.iter().filter_map(pair).collect()
    }

    fn mark(&mut self) -> Done {
        self.count()?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Done {
        let id = self.new_value(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn push_id(&mut self, id: Id) -> Done {
        self.count()?;
        self.stack.push(id);
        Ok(())
    }

    fn new_value(&mut self, value: Value<'a>) -> Result<Id, String> {
        self.count()?;
        let id = Id(self.values.len() as u32);
        self.values.push(value);
        Ok(id)
    }

    /// That no more is put anywhere than is allowed.
    fn count(&mut self) -> Done {
        let most = self.most;
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| {
            format!(
                "it makes more than {most} values, the most that are read (TorchLimits::values)"
            )
        })?;
        Ok(())
    }

    /// Takes the value on top off, unless a mark lies on it.
    fn pop(&mut self) -> Result<Id, String> {
        match self.marks.last() {
            Some(&mark) if mark >= self.stack.len() => Err(underflow()),
            _ => self.stack.pop().ok_or_else(underflow),
        }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A number of so many bytes, the least significant one first.
    fn length(&mut self, bytes: usize) -> Result<u64, String> {
        let number = self.take(bytes)?;
        Ok(number.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Bytes with their number, of so many bytes, before them.
    fn counted(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let length = self.length(bytes)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a [u8], String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut_off)?;
        let line = self.take(end + 1)?;
        Ok(&line[..end])
    }

    fn other_line(&mut self) -> Result<Value<'a>, String> {
        self.line().map(|_| Value::Other)
    }
}

fn cut_off() -> String {
    "the pickle is cut off".to_string()
}

fn underflow() -> String {
    "an instruction takes more values than there are".to_string()
}

fn pairs(items: Vec<Id>) -> Result<Vec<(Id, Id)>, String> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("a key has no value".to_string()),
    }
}

/// `I` and `L` have the number in words, `L` with an L behind it; 00 and 01 are false and true.
fn integer_in_words<'a>(line: &[u8]) -> Value<'a> {
    let text = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('L');
    match text {
        "00" => Value::Bool(false),
        "01" => Value::Bool(true),
        _ => text.parse().map_or(Value::Other, Value::Integer),
    }
}

/// A whole number in two's complement, the least significant byte first.
fn long<'a>(bytes: &[u8]) -> Value<'a> {
    let mut number = [if bytes.last().is_some_and(|byte| *byte > 0x7f) { 0xff } else { 0 }; 8];
    match number.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => return Value::Other, // too large for what a state dict counts
    }
    Value::Integer(i64::from_le_bytes(number))
}

fn unquoted(line: &[u8]) -> &[u8] {
    match line {
        [first @ (b'\'' | b'"'), text @ .., last] if first == last => text,
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Pickle, Value};

    const MOST: usize = 1000;

    fn fails(bytes: &[u8], words: &str) {
        let reason = Pickle::read(bytes, MOST).expect_err("it is no pickle");
        assert!(reason.contains(words), "{reason:?} doesn't say {words:?}");
    }

    #[test]
    fn a_pickle_of_every_protocol_is_read() {
        // pickle.dumps({"a": [1, -2], "b": (300, True)}, protocol)
        let protocols: [&[u8]; 3] = [
            b"(dp0\nVa\np1\n(lp2\nI1\naI-2\nasVb\np3\n(I300\nI01\ntp4\ns.",
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffeX\x01\x00\x00\
              \x00bq\x03M,\x01\x88\x86q\x04u.",
            b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\
              \xff\xffe\x8c\x01b\x94M,\x01\x88\x86\x94u.",
        ];
        for bytes in protocols {
            let pickle = Pickle::read(bytes, MOST).unwrap();
            assert_eq!(pickle.bytes, bytes.len());
            let integers = |key| {
                let id = pickle.entry(pickle.root, key).unwrap();
                pickle.items(id).unwrap().iter().map(|&id| pickle.integer(id)).collect::<Vec<_>>()
            };
            assert_eq!(integers("a"), [Some(1), Some(-2)]);
            assert_eq!(integers("b"), [Some(300), None]); // True is no number
            assert_eq!(pickle.entry(pickle.root, "c"), None);
        }
    }

    #[test]
    fn calls_are_names() {
        let pickle = Pickle::read(b"cos\nsystem\n(S'echo'\ntR.", MOST).unwrap();
        let &Value::Call { callee, arguments, state } = pickle.get(pickle.root) else {
            panic!("{:?}", pickle.get(pickle.root))
        };
        assert_eq!(pickle.global(callee), Some((&b"os"[..], &b"system"[..])));
        assert_eq!(pickle.text(pickle.items(arguments).unwrap()[0]), Some(&b"echo"[..]));
        assert_eq!(state, None);
    }

    #[test]
    fn numbers_of_many_bytes_are_read() {
        let root = |bytes: &[u8]| {
            let pickle = Pickle::read(bytes, MOST).unwrap();
            pickle.integer(pickle.root)
        };
        assert_eq!(root(b"\x8a\x00."), Some(0));
        assert_eq!(root(b"\x8a\x01\xff."), Some(-1));
        assert_eq!(root(b"\x8a\x02\xff\x00."), Some(255));
        assert_eq!(root(b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00."), None);
        assert_eq!(root(b"L123L\n."), Some(123));
    }

    #[test]
    fn damaged_pickles_are_errors() {
        fails(b"", "cut off");
        fails(b"K", "cut off");
        fails(b"X\xff\xff\xff\xffa.", "cut off");
        fails(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "cut off");
        fails(b"Vno end", "cut off");
        fails(b".", "more values");
        fails(b"(.", "more values");
        fails(b"t.", "more values");
        fails(b"h\x05.", "never kept");
        fails(b"]q\x05h\x04.", "never kept");
        fails(b"]r\xff\xff\xff\xff.", "number 4294967295");
        fails(b"K\x01K\x02a.", "takes none");
        fails(b"}(K\x01u.", "no value");
        fails(b"\x97.", "isn't known");
        for bomb in [&b"("[..], b"]", b"K\x01", b"]2222222222", b"]\x94\x94\x94\x94\x94\x94\x94"] {
            fails(&bomb.repeat(2000), "TorchLimits::values");
        }
    }

    /// Deep nesting and objects that hold themselves need no recursion.
    #[test]
    fn nested_values_are_given_back() {
        let deep = [&b"]".repeat(100_000)[..], &b"a".repeat(99_999), b"."].concat();
        assert!(Pickle::read(&deep, 1 << 20).is_ok());
        // The last one by the number of what is kept, which leaves numbers out.
        for itself in [&b"]\x94h\x00a."[..], b"]q\x07h\x07a.", b"]q\x070]\x94h\x01a."] {
            let itself = Pickle::read(itself, MOST).unwrap();
            assert_eq!(itself.items(itself.root), Some(&[itself.root][..]));
        }
    }
}
