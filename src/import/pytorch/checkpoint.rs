//! Finds the tensors of what was pickled: a state dict, or a checkpoint with one somewhere in it.

use super::limits::TorchLimits;
use super::messages::malformed;
use super::pickle::{Id, Pickle, Value};
use super::tensor::{Dtype, FileTensor, Float, MOST_AXES, check_name};
use crate::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// Where a tensor's values are kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    pub key: String,
    pub dtype: Dtype,
    /// How many values it has.
    pub values: usize,
    /// The number of the first value that tensors see.
    first: usize,
}

/// A tensor that a pickle describes.
#[derive(Debug)]
pub(super) struct View {
    pub name: String,
    /// None for a kind of tensors that has no plain values, such as a quantized one.
    pub storage: Option<Storage>,
    pub dtype: Dtype,
    /// The number of its first value in the storage.
    pub first: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The most levels of dicts in dicts.
const DEEPEST: usize = 64;

/// The tensors of a pickle, by their names: the keys of the dicts that they lie in with dots
/// between them. The states of optimizers are passed over.
pub(super) fn tensors(file: &str, pickle: &Pickle, limits: &TorchLimits) -> Result<Vec<View>> {
    let mut walk =
        Walk { file, pickle, limits, left: limits.values, found: Vec::new(), module: None };
    walk.visit(pickle.root, "", 0)?;
    match (walk.found.is_empty(), walk.module) {
        (true, Some(class)) => malformed(file, of_module(&class)),
        (true, None) => malformed(file, "holds no tensors: is it a state dict?"),
        _ => Ok(walk.found),
    }
}

fn of_module(class: &str) -> String {
    format!(
        "holds a whole module of the class {class}, whose code isn't in the file; save its state \
         dict in Python: model = torch.load(\"FILE\", map_location=\"cpu\", weights_only=False), \
         then torch.save(model.state_dict(), \"weights.pt\")"
    )
}

struct Walk<'p, 'a> {
    file: &'p str,
    pickle: &'p Pickle<'a>,
    limits: &'p TorchLimits,
    /// How many values may still be looked at: some may be found by many ways.
    left: usize,
    found: Vec<View>,
    /// The class of a module that was pickled as a whole.
    module: Option<String>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, id: Id, name: &str, depth: usize) -> Result<()> {
        let pickle = self.pickle;
        match pickle.get(id) {
            Value::Dict(entries) => {
                self.count(depth, entries.len())?;
                if self.is_optimizer(id) {
                    return Ok(());
                }
                let entries = entries.iter().filter(|(_, value)| is_inner(pickle, *value));
                let mut named =
                    entries.filter_map(|&(key, value)| Some((key_text(pickle, key)?, value)));
                named.try_for_each(|(key, value)| self.child(name, key, value, depth))
            }
            Value::Tuple(items) | Value::List(items) => {
                self.count(depth, items.len())?;
                let items = items.iter().enumerate().filter(|(_, item)| is_inner(pickle, **item));
                items
                    .into_iter()
                    .try_for_each(|(at, &item)| self.child(name, at.to_string(), item, depth))
            }
            &Value::Call { callee, arguments, state } => {
                self.call(name, callee, arguments, state, depth)
            }
            _ => Ok(()),
        }
    }

    /// That no more is looked at than is allowed: some of it may be found by many ways.
    fn count(&mut self, depth: usize, entries: usize) -> Result<()> {
        if depth > DEEPEST {
            return malformed(self.file, format!("nests more than {DEEPEST} values in each other"));
        }
        let most = self.limits.values;
        let Some(left) = self.left.checked_sub(entries.saturating_add(1)) else {
            let reason = format!("refers to more than {most} values (TorchLimits::values)");
            return malformed(self.file, reason);
        };
        self.left = left;
        Ok(())
    }

    fn child(&mut self, name: &str, key: String, value: Id, depth: usize) -> Result<()> {
        let name = if name.is_empty() { key } else { format!("{name}.{key}") };
        check_name(self.file, &name)?;
        self.visit(value, &name, depth + 1)
    }

    /// The state of every optimizer of torch's has these two entries.
    fn is_optimizer(&self, dict: Id) -> bool {
        let has = |key| self.pickle.entry(dict, key).is_some();
        has("param_groups") && has("state")
    }

    fn call(
        &mut self,
        name: &str,
        callee: Id,
        arguments: Id,
        state: Option<Id>,
        depth: usize,
    ) -> Result<()> {
        let pickle = self.pickle;
        let Some((module, function)) = global(pickle, callee) else { return Ok(()) };
        let arguments = pickle.items(arguments).unwrap_or_default();
        self.count(depth, arguments.len())?;
        match (module, function, arguments) {
            (
                b"torch._utils",
                b"_rebuild_parameter" | b"_rebuild_parameter_with_state",
                &[data, ..],
            ) => self.visit(data, name, depth + 1),
            (b"torch._tensor", b"_rebuild_from_type_v2", &[function, _, arguments, ..]) => {
                self.call(name, function, arguments, None, depth + 1)
            }
            (b"torch._utils", b"_rebuild_tensor" | b"_rebuild_tensor_v2", _) => {
                let view = self.view(name, arguments);
                self.found.push(view.or_else(|reason| {
                    malformed(self.file, format!("tensor {name:?}: {reason}"))
                })?);
                Ok(())
            }
            (b"torch._utils", other, _) if other.starts_with(b"_rebuild") => {
                self.found.push(opaque(name, &String::from_utf8_lossy(other)));
                Ok(())
            }
            _ => self.note_module(module, function, state, depth),
        }
    }

    /// An object with the tables that every `torch.nn.Module` has.
    fn note_module(
        &mut self,
        module: &[u8],
        class: &[u8],
        state: Option<Id>,
        depth: usize,
    ) -> Result<()> {
        let Some(state) = state else { return Ok(()) };
        self.count(depth, self.pickle.length(state))?;
        let has = |key| self.pickle.entry(state, key).is_some();
        if has("_parameters") && has("_modules") {
            let text = |bytes| String::from_utf8_lossy(bytes);
            let class = format!("{}.{}", text(module), text(class));
            self.module.get_or_insert(class.chars().take(100).collect());
        }
        Ok(())
    }

    fn view(&self, name: &str, arguments: &[Id]) -> Result<View, String> {
        let &[storage, offset, shape, strides, ..] = arguments else {
            return Err("its description is too short".to_string());
        };
        let &Value::Persistent(storage) = self.pickle.get(storage) else {
            return Err("its values are nowhere".to_string());
        };
        let storage = storage_of(self.pickle, storage)?;
        let offset = count(self.pickle, offset).ok_or("its offset is no number")?;
        let lengths = |id| lengths(self.pickle, id).ok_or("its shape isn't one");
        let (shape, strides) = (lengths(shape)?, lengths(strides)?);
        if shape.len() != strides.len() {
            return Err(format!("{} axes have {} strides", shape.len(), strides.len()));
        }
        let first = offset.checked_add(storage.first).ok_or("its offset is too large")?;
        let dtype = storage.dtype.clone();
        let name = name.to_string();
        Ok(View { name, dtype, storage: Some(storage), first, shape, strides })
    }
}

impl View {
    /// The tensor, whose storage has these bytes.
    pub(super) fn tensor(self, bytes: Arc<Vec<u8>>) -> FileTensor {
        let View { name, dtype, first, shape, strides, .. } = self;
        let start = first.saturating_mul(dtype.bytes());
        FileTensor { name, dtype, shape, strides, bytes, start }
    }
}

/// The module and the name of what is called. torch.save before PyTorch 1.6 kept classes of modules
/// outside of the pickle: `("module", class, file, source)`.
fn global<'a>(pickle: &Pickle<'a>, callee: Id) -> Option<(&'a [u8], &'a [u8])> {
    match *pickle.get(callee) {
        Value::Persistent(id) if is_class(pickle, id) => pickle.global(*pickle.items(id)?.get(1)?),
        _ => pickle.global(callee),
    }
}

fn is_class(pickle: &Pickle, id: Id) -> bool {
    let tag = pickle.items(id).and_then(|items| items.first());
    tag.is_some_and(|&tag| pickle.text(tag) == Some(b"module"))
}

/// Whether there may be tensors in it.
fn is_inner(pickle: &Pickle, value: Id) -> bool {
    let value = pickle.get(value);
    matches!(value, Value::Dict(_) | Value::Tuple(_) | Value::List(_) | Value::Call { .. })
}

/// A tensor of a kind that isn't read.
fn opaque(name: &str, function: &str) -> View {
    let kind: String = function.trim_start_matches("_rebuild_").chars().take(40).collect();
    let (shape, strides) = (vec![0], vec![1]);
    let dtype = Dtype::Other(kind, 1);
    View { name: name.to_string(), storage: None, dtype, first: 0, shape, strides }
}

/// A key as a part of a name: a text or a number.
fn key_text(pickle: &Pickle, key: Id) -> Option<String> {
    let number = || pickle.integer(key).map(|number| number.to_string());
    pickle.text(key).map(|text| String::from_utf8_lossy(text).into_owned()).or_else(number)
}

fn count(pickle: &Pickle, id: Id) -> Option<usize> {
    pickle.integer(id).and_then(|number| usize::try_from(number).ok())
}

fn lengths(pickle: &Pickle, id: Id) -> Option<Vec<usize>> {
    let items = pickle.items(id).filter(|items| items.len() <= MOST_AXES)?;
    items.iter().map(|&item| count(pickle, item)).collect()
}

/// All storages that a pickle names by their keys, also those of tensors that are passed over.
pub(super) fn storages(pickle: &Pickle) -> Result<HashMap<String, Storage>, String> {
    let mut storages = HashMap::new();
    for value in pickle.values() {
        let &Value::Persistent(id) = value else { continue };
        if is_class(pickle, id) {
            continue;
        }
        let storage = storage_of(pickle, id)?;
        let (values, dtype) = (storage.values, storage.dtype.clone());
        let known = storages.entry(storage.key.clone()).or_insert(storage);
        if (known.values, &known.dtype) != (values, &dtype) {
            return Err(format!("the storage {:?} is told of in two ways", known.key));
        }
    }
    Ok(storages)
}

/// `("storage", class, key, device, number of values, view)`; the view, of files before PyTorch 0.4
/// alone, is a key, the first value that is seen, and how many are.
fn storage_of(pickle: &Pickle, id: Id) -> Result<Storage, String> {
    let wrong = || "the place of its values isn't told as torch.save does".to_string();
    let items = pickle.items(id).ok_or_else(wrong)?;
    let &[tag, class, key, _, values, ref view @ ..] = items else { return Err(wrong()) };
    if pickle.text(tag) != Some(b"storage") {
        return Err(wrong());
    }
    let (_, class) = pickle.global(class).ok_or_else(wrong)?;
    let key = key_text(pickle, key).filter(|key| key.len() <= 100).ok_or_else(wrong)?;
    let values = count(pickle, values).ok_or_else(wrong)?;
    let first = view.first().and_then(|&view| pickle.items(view)).and_then(|view| view.get(1));
    let first = first.map_or(Some(0), |&first| count(pickle, first)).ok_or_else(wrong)?;
    Ok(Storage { key, dtype: dtype(class)?, values, first })
}

/// What a class of storages holds.
fn dtype(class: &[u8]) -> Result<Dtype, String> {
    let other = |name: &str, bytes| Ok(Dtype::Other(name.to_string(), bytes));
    match class {
        b"HalfStorage" => Ok(Dtype::Float(Float::F16)),
        b"BFloat16Storage" => Ok(Dtype::Float(Float::Bf16)),
        b"FloatStorage" => Ok(Dtype::Float(Float::F32)),
        b"DoubleStorage" => Ok(Dtype::Float(Float::F64)),
        b"LongStorage" => other("i64", 8),
        b"IntStorage" => other("i32", 4),
        b"ShortStorage" => other("i16", 2),
        b"CharStorage" => other("i8", 1),
        b"ByteStorage" => other("u8", 1),
        b"BoolStorage" => other("bool", 1),
        b"ComplexFloatStorage" => other("complex64", 8),
        b"ComplexDoubleStorage" => other("complex128", 16),
        b"QInt8Storage" => other("qint8", 1),
        b"QUInt8Storage" => other("quint8", 1),
        b"QInt32Storage" => other("qint32", 4),
        b"UntypedStorage" => other("untyped", 1),
        other => {
            let class: String = String::from_utf8_lossy(other).chars().take(60).collect();
            Err(format!("values of a {class:?} aren't known"))
        }
    }
}
