//! What a file is, by its first bytes: the formats that models are read from, and a sentence for
//! each of the others that people take for one.

use serde::Deserialize;
use serde::de::IgnoredAny;
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
use std::io::{Read, Seek};
use std::path::Path;
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
use zip::ZipArchive;
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
use zip::read::{ArchiveOffset, Config};
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
use zip::result::ZipResult;

/// How many of a file's first bytes [`format`] looks at. A web page may begin with empty lines and
/// a comment, JSON with a long name; all others tell themselves apart within some 30 bytes.
pub(crate) const HEAD: usize = 512;

/// The formats that models are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Of Keras or of PyTorch, which the names in it tell.
    Zip,
    Hdf5,
    Onnx,
    /// What torch.save wrote before PyTorch 1.6.
    TorchPickle,
    /// Tensors alone, as far as the first bytes tell; [`is_portable`] looks at the whole header.
    Safetensors,
    /// birnn's own form, which is safetensors, too.
    Portable,
}

/// What to say of a file of PyTorch's where one of Keras's is read.
#[allow(dead_code)] // where the formats that are zip archives are not built in
pub(crate) const TORCH: &str = "is a file of PyTorch's: Model::from_torch reads it where it is one \
    LSTM, GRU or RNN, and torch::StateDict the parts of any model";

/// What to say of a file in birnn's own form where another one is read.
#[allow(dead_code)] // where no other format is built in
pub(crate) const PORTABLE: &str =
    "is a model in birnn's own form: read it with Model::from_portable, or Model::load";

/// What to say of a TorchScript file.
#[allow(dead_code)] // where the formats that are zip archives are not built in
const TORCH_SCRIPT: &str = "is a TorchScript file, whose code birnn doesn't run; save its state \
    dict in Python: model = torch.jit.load(\"FILE\", map_location=\"cpu\"), then \
    torch.save(model.state_dict(), \"weights.pt\")";

/// First bytes that say what a file is, and what to say of it.
const SIGNATURES: [(&[u8], &str); 9] = [
    (
        b"version https://git-lfs",
        "is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository",
    ),
    (b"\x93NUMPY", "is a NumPy array, not a model: the model comes first, its inputs after it"),
    (
        b"model_checkpoint_path:",
        "is the index of TensorFlow checkpoints, which hold weights without a model: load them in \
         Keras with model.load_weights(...) and save the model with model.save(\"model.keras\")",
    ),
    (
        // An SSTable whose first entry has no key: a BundleHeaderProto of version 1 or newer.
        b"\0\0\x06\x08\x01\x1a\x02\x08\x01",
        "is a TensorFlow checkpoint, which holds weights without a model: load it in Keras with \
         model.load_weights(...) and save the model with model.save(\"model.keras\")",
    ),
    (b"\x1f\x8b", "is compressed with gzip: unpack it with gunzip first"),
    (b"BZh", "is compressed with bzip2: unpack it with bunzip2 first"),
    (b"\xfd7zXZ\0", "is compressed with xz: unpack it with unxz first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"),
    (
        b"MATLAB ",
        "is a MATLAB file, not a Keras model: save the model in Keras with \
         model.save(\"model.keras\")",
    ),
];

/// The magic number of torch.save before PyTorch 1.6, as a pickle has it.
const TORCH_MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

const PICKLE: &str = "is a Python pickle (pickle, joblib), which only Python can read: load it \
    there and save the model with model.save(\"model.keras\"), or a state dict of PyTorch's with \
    torch.save";

const SAVED_MODEL: &str = "is a TensorFlow SavedModel: if Keras 2's model.save wrote it, load its \
    folder with tf_keras.models.load_model(...) and save the model again with \
    model.save(\"model.h5\"); if model.export did, save the model itself with \
    model.save(\"model.keras\") where it was made";

/// The format of a file that begins with these bytes, [`HEAD`] of them or all that there are; for
/// another one a sentence, without its subject, that says what the file is and what to do.
pub(crate) fn format(head: &[u8]) -> Result<Format, String> {
    if head.starts_with(HDF5) {
        return Ok(Format::Hdf5);
    }
    if ZIP.iter().any(|signature| head.starts_with(signature)) {
        return Ok(Format::Zip);
    }
    if is_torch_pickle(head) {
        return Ok(Format::TorchPickle);
    }
    if is_safetensors(head) {
        // What birnn writes begins so.
        let portable = head[8..].starts_with(br#"{"__metadata__":{"birnn":""#);
        return Ok(if portable { Format::Portable } else { Format::Safetensors });
    }
    if head.is_empty() {
        return Err("is empty: was it downloaded or copied as a whole?".into());
    }
    if let Some((_, sentence)) = SIGNATURES.iter().find(|(bytes, _)| head.starts_with(bytes)) {
        return Err((*sentence).into());
    }
    let sentence = match head {
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            "is a TensorFlow Lite model: save the Keras model that it was converted from with \
             model.save(\"model.keras\")"
        }
        [0x80, 2..=5, ..] => PICKLE,
        _ if is_old_pickle(head) => PICKLE,
        _ if head.get(257..262) == Some(b"ustar") => {
            "is a tar archive: unpack it, or, where PyTorch before 0.1.10 saved it, load it with \
             torch.load and save the state dict again"
        }
        _ if is_saved_model(head) => SAVED_MODEL,
        _ if is_onnx(head) => return Ok(Format::Onnx),
        _ => return Err(text(head).unwrap_or_else(|| unknown(head))),
    };
    Err(sentence.into())
}

/// Of a text what it is.
fn text(head: &[u8]) -> Option<String> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head); // a byte order mark
    let whole = head;
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let head = head[start..].to_ascii_lowercase();
    let holds = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    let sentence = match head[0] {
        b'<' if holds(b"<!doctype html") || holds(b"<html") || holds(b"<head") => {
            "is a web page (HTML), not the file that its address names: download it again by the \
             direct link, such as .../resolve/... at Hugging Face or .../raw/... at GitHub"
        }
        b'<' => {
            "is an XML text, perhaps a server's answer in place of the file: open it in an editor, \
             and download the file again"
        }
        b'{' if holds(b"\"modeltopology\"") || holds(b"\"layers-model\"") => {
            "is a TensorFlow.js model: convert it with tensorflowjs_converter \
             --input_format=tfjs_layers_model --output_format=keras"
        }
        b'{' | b'[' | b'"' => {
            "is JSON, perhaps a model's configuration, and holds no weights: give the file with \
             the weights as the model, and this one with --config (Model::from_keras_config)"
        }
        _ => return plain_text(whole),
    };
    Some(sentence.to_string())
}

/// Of a text of no known kind how it begins.
fn plain_text(head: &[u8]) -> Option<String> {
    // The head may end within a letter.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if text.chars().any(|letter| letter.is_control() && !letter.is_whitespace()) {
        return None;
    }
    let line: String = text.trim_start().lines().next()?.chars().take(40).collect();
    Some(format!(
        "is a plain text, which begins with {line:?}: a model is a file of Keras (.keras, .h5), of \
         PyTorch (.safetensors, .pt, .pth), or an ONNX model"
    ))
}

/// A pickle of protocol 0 or 1, which Python 2 wrote: an object of a class, a dictionary or a list.
fn is_old_pickle(head: &[u8]) -> bool {
    let is_name = |line: &[u8]| {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.".contains(byte);
        !line.is_empty() && line.iter().all(is_letter)
    };
    let mut lines = head.split(|&byte| byte == b'\n');
    match head {
        [b'c', rest @ ..] if !rest.is_empty() => {
            let (module, name, more) = (lines.next(), lines.next(), lines.next());
            let names = module.map(|line| &line[1..]).into_iter().chain(name);
            let begins = more.is_some_and(|line| matches!(line, [b'q' | b'(' | b'p' | b')', ..]));
            names.fold(0, |found, line| found + usize::from(is_name(line))) == 2 && begins
        }
        [b'(', b'd' | b'l' | b'i' | b't', rest @ ..] => {
            matches!(rest, [b'p', b'0'..=b'9', ..])
        }
        [b'}' | b']', b'q', 0, ..] => true,
        _ => false,
    }
}

/// The magic number behind the pickle's protocol, and of protocol 4 and above behind its length.
fn is_torch_pickle(head: &[u8]) -> bool {
    let Some([0x80, 2..=5, rest @ ..]) = head.get(..head.len().min(64)) else { return false };
    rest.windows(TORCH_MAGIC.len()).any(|window| window == TORCH_MAGIC)
}

/// The length of the JSON that describes the arrays, and that JSON, an object.
fn is_safetensors(head: &[u8]) -> bool {
    const LONGEST: u64 = 100_000_000; // safetensors' own limit
    let Some((length, json)) = head.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    matches!(json, [b'{', b'"' | b'}' | b' ' | b'\n', ..]) && (2..=LONGEST).contains(&length)
}

/// Whether the header of a safetensors file says that the file has birnn's own form.
pub(crate) fn is_portable(header: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        _metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "birnn")]
        _description: IgnoredAny,
    }
    serde_json::from_slice::<Header>(header).is_ok()
}

/// Protobuf's SavedModel: its version, 1, and a graph, whose first field describes it.
fn is_saved_model(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"\x08\x01\x12") else { return false };
    let after_length = rest.iter().position(|byte| byte & 0x80 == 0);
    after_length.is_some_and(|last| rest.get(last + 1) == Some(&b'\n'))
}

/// Protobuf's ModelProto: its version, then further fields of it in the order of their numbers, as
/// all libraries write them, up to the graph (7) or the end of what is known.
fn is_onnx(head: &[u8]) -> bool {
    const GRAPH: u64 = 7;
    let mut rest = head;
    let mut last = 0;
    let mut fields = 0;
    while let Some(tag) = varint(&mut rest) {
        let (field, wire) = (tag >> 3, tag & 7);
        // Only the imports of operator sets (8), the metadata (14) and what follows are lists.
        let in_order = field > last || (field == last && field >= 8);
        let known = match (field, wire) {
            (1, 0) => varint(&mut rest).is_some_and(|version| (1..100).contains(&version)),
            (5, 0) => varint(&mut rest).is_some(),
            (2..=4 | 6, 2) => skip(&mut rest, true),
            (GRAPH | 8 | 14 | 20 | 25 | 26, 2) => skip(&mut rest, false),
            _ => false,
        };
        if !known || !in_order || (fields == 0 && field != 1) {
            return false;
        }
        last = field;
        fields += 1;
    }
    fields > 1 && last >= GRAPH
}

/// Takes a number of protobuf's off.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a field with a length off, or what there is of it; whether it may be one. A text holds no
/// control characters but newlines and tabs.
fn skip(bytes: &mut &[u8], is_text: bool) -> bool {
    let Some(length) = varint(bytes) else { return false };
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
    let (field, rest) = bytes.split_at(length);
    *bytes = rest;
    !is_text || field.iter().all(|byte| *byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t'))
}

fn unknown(head: &[u8]) -> String {
    let what = if head.iter().all(|&byte| byte == 0) {
        "holds zeros where they begin: was it downloaded or copied as a whole?".to_string()
    } else {
        let first: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("its first bytes are {}", first.join(" "))
    };
    format!(
        "is no file of Keras (.keras, .h5), none of PyTorch (.safetensors, .pt, .pth), and no ONNX \
         model: {what}"
    )
}

/// Opens an archive of PyTorch's. The crate zip, left to itself, looks for where the archive begins
/// in the file, and is wrong about files with a record of zip64 that isn't needed, as PyTorch
/// writes one, if the first entry of its directory has 76 bytes: as many as the record.
#[cfg(any(feature = "keras", feature = "onnx", feature = "pytorch"))]
pub(crate) fn torch_archive<R: Read + Seek>(file: R) -> ZipResult<ZipArchive<R>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, file)
}

/// The folder in an archive of PyTorch's in which all members are, with a slash at its end or
/// nothing; none where it is no such archive, or is TorchScript.
#[allow(dead_code)] // Only the importer of such files asks.
pub(crate) fn torch_folder(names: &[String]) -> Option<&str> {
    let folders = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
    let folders = folders.filter(|folder| folder.is_empty() || folder.ends_with('/'));
    folders.min_by_key(|folder| folder.len()).filter(|_| !is_torch_script(names))
}

fn is_torch_script(names: &[String]) -> bool {
    let is_code = |name: &String| name.starts_with("code/") || name.contains("/code/");
    let is_constants = |name: &String| name == "constants.pkl" || name.ends_with("/constants.pkl");
    names.iter().any(is_code) || names.iter().any(is_constants)
}

/// The sentence for a zip archive that is not what it is read as, by the names in it.
#[allow(dead_code)] // where the formats that are zip archives are not built in
pub(crate) fn archive(names: &[String]) -> String {
    let is_or_ends = |name: &str, end: &str| {
        name == end || name.strip_suffix(end).is_some_and(|folder| folder.ends_with('/'))
    };
    let holds = |end: &str| names.iter().any(|name| is_or_ends(name, end));
    let is_model = |name: &&String| name.ends_with(".keras") || name.ends_with(".h5");
    if holds("data.pkl") {
        return if is_torch_script(names) { TORCH_SCRIPT } else { TORCH }.into();
    }
    if names.iter().any(|name| name == "config.json") {
        return "is a .keras archive, or a part of one: Model::from_keras reads it".into();
    }
    if holds("saved_model.pb") {
        return format!("is a zip archive whose content {SAVED_MODEL}");
    }
    if holds("config.json") && holds("model.weights.h5") {
        return "is a zip archive with the folder of a .keras file: zip what is in that folder, \
                not the folder itself"
            .into();
    }
    if let Some(model) = names.iter().find(is_model) {
        return format!("is a zip archive with {:?} in it: unpack it first", short(model));
    }
    if names.is_empty() {
        return "is an empty zip archive: was it made or copied as a whole?".into();
    }
    if names.iter().all(|name| name.ends_with(".npy")) {
        return "is a NumPy archive (.npz) of arrays, not a model: the model comes first, and each \
                input is a .npy file"
            .into();
    }
    let listed: Vec<String> =
        names.iter().take(3).map(|name| format!("{:?}", short(name))).collect();
    let more = if names.len() > listed.len() { ", …" } else { "" };
    format!(
        "is a zip archive without config.json, so no .keras file; it holds {}{more}",
        listed.join(", ")
    )
}

/// A name for a message.
#[allow(dead_code)] // where the formats that are zip archives are not built in
fn short(name: &str) -> String {
    match name.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_string(),
    }
}

/// The sentence for a folder.
pub(crate) fn folder(path: &Path) -> String {
    let holds = |name: &str| path.join(name).is_file();
    match () {
        _ if holds("saved_model.pb") => SAVED_MODEL,
        _ if holds("config.json") && holds("model.weights.h5") => {
            "is the folder of an unpacked .keras file: zip what is in it, not the folder itself"
        }
        _ if holds("checkpoint") => {
            "is a folder of TensorFlow checkpoints, which hold weights without a model: load them \
             in Keras with model.load_weights(...) and save the model with \
             model.save(\"model.keras\")"
        }
        _ => "is a folder: give the model's file, .keras or .h5",
    }
    .into()
}

/// The sentence for a file that only its name gives away: the values of a TensorFlow checkpoint are
/// bare numbers.
pub(crate) fn by_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (_, shard) = name.rsplit_once(".data-")?;
    let (index, count) = shard.split_once("-of-")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(index) && is_number(count)).then(|| {
        "is part of a TensorFlow checkpoint, which holds weights without a model: load it in Keras \
         with model.load_weights(...) and save the model with model.save(\"model.keras\")"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::{Format, archive, by_name, folder, format, is_portable, torch_folder};
    use std::path::Path;

    #[track_caller]
    fn is(head: &[u8], words: &[&str]) {
        let sentence = format(head).expect_err("it is recognized as a model's format");
        for word in words {
            assert!(sentence.contains(word), "{sentence:?} doesn't say {word:?}");
        }
        // A sentence without its end, that goes on from the file's name.
        assert!(!sentence.ends_with('.') && !sentence.contains('\n'), "{sentence:?}");
        assert!(sentence.starts_with("is ") || sentence.starts_with("holds "), "{sentence:?}");
    }

    /// One of protobuf's fields with a length.
    fn field(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    #[test]
    fn the_formats_of_models_are_recognized() {
        assert_eq!(format(b"\x89HDF\r\n\x1a\n\0\0"), Ok(Format::Hdf5));
        assert_eq!(format(b"PK\x03\x04\x14\0"), Ok(Format::Zip));
        assert_eq!(format(b"PK\x05\x06\0\0"), Ok(Format::Zip)); // an empty archive
        let magic = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
        let protocols = [&b"\x80\x02"[..], b"\x80\x04\x95\x0d\0\0\0\0\0\0\0"];
        for protocol in protocols {
            assert_eq!(format(&[protocol, magic].concat()), Ok(Format::TorchPickle));
        }
        assert!(format(b"\x89HDF\r\n").is_err());
    }

    #[test]
    fn files_that_are_no_models_are_recognized() {
        is(b"", &["empty"]);
        is(b"version https://git-lfs.github.com/spec/v1\noid sha256:4a", &["git lfs pull"]);
        is(b"\x1f\x8b\x08\0", &["gzip", "gunzip"]);
        is(b"BZh91AY", &["bzip2"]);
        is(b"\xfd7zXZ\0\0", &["xz"]);
        is(b"7z\xbc\xaf\x27\x1c\0", &["7z"]);
        is(b"MATLAB 7.3 MAT-file, Platform", &["MATLAB"]);
        is(b"\x93NUMPY\x01\0", &["NumPy array"]);
        is(b"\x1c\0\0\0TFL3\x14\0", &["TensorFlow Lite", "model.save"]);
        is(b"\x80\x04\x95\x0b\0", &["pickle"]);
        is(b"model_checkpoint_path: \"model-1\"\n", &["checkpoint", "load_weights"]);
        is(b"\0\0\x06\x08\x01\x1a\x02\x08\x01\0\x1c\x0e_CHECK", &["checkpoint", "load_weights"]);
        is(b"\0\0\0\0\0\0\0\0\0", &["zeros"]);
        is(b"plain text", &["plain text", ".keras"]);
        is(b"(dp0\nS'a'\np1\n", &["pickle"]);
        is(b"ccopy_reg\n_reconstructor\np0\n", &["pickle"]);
        is(b"plain\x01text", &["70 6c 61 69 6e 01 74 65"]);
        is(b"\x08", &["08"]);
        is(b"<", &["XML"]);
    }

    #[test]
    fn texts_are_recognized() {
        is(b"<!DOCTYPE html><html lang=\"en\">", &["web page", "direct link"]);
        is(b"\xef\xbb\xbf\r\n  <!-- x -->\n<HTML>", &["web page"]);
        is(b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", &["XML", "server"]);
        is(b"{\"module\": \"keras\", \"class_name\": \"Sequential\"}", &["JSON", "--config"]);
        is(b"\"{\\\"class_name\\\": ", &["JSON", "--config"]); // json.dump of to_json()'s text
        is(b"{\"format\": \"layers-model\", \"generatedBy\": \"keras\"", &["TensorFlow.js"]);
    }

    #[test]
    fn safetensors_are_recognized() {
        let is_one = |head: &[u8]| assert_eq!(format(head), Ok(Format::Safetensors));
        is_one(b"\x40\0\0\0\0\0\0\0{\"weight\":{\"dtype\"");
        is_one(b"\x02\0\0\0\0\0\0\0{}");
        is_one(b"\x80\x04\0\0\0\0\0\0{\"a\""); // a length of 1152, which begins a pickle, too
        is_one(b"{\0\0\0\0\0\0\0{\"a\""); // a length of 123, which is {
        let portable = b"\x40\0\0\0\0\0\0\0{\"__metadata__\":{\"birnn\":\"{";
        assert_eq!(format(portable), Ok(Format::Portable));
        assert!(is_portable(br#"{"w": {"shape": []}, "__metadata__": {"a": "b", "birnn": ""}}"#));
        assert!(!is_portable(br#"{"birnn": {"shape": []}, "__metadata__": {"format": "pt"}}"#));
        assert!(!is_portable(br#"{"__metadata__": {"birnn": ""#));
        is(b"\xff\xff\xff\xff\xff\xff\0\0{\"a\"", &["first bytes"]);
    }

    #[test]
    fn onnx_and_saved_models_are_told_apart() {
        let version = |number: u8| vec![0x08, number];
        let graph = |rest: &[u8]| [&[0x3a, 0xb0, 0x54][..], rest].concat(); // longer than the head
        let producer = field(0x12, b"pytorch");
        let is_onnx = |head: Vec<u8>| assert_eq!(format(&head), Ok(Format::Onnx));
        is_onnx([version(8), producer.clone(), field(0x1a, b"2.1.0"), graph(b"\n\x10")].concat());
        is_onnx([version(3), graph(b"")].concat());
        let opset = field(0x42, &[0x10, 0x11]);
        let whole = [version(10), field(0x3a, b"\x0a\0"), opset.clone(), opset].concat();
        is_onnx(whole);
        is_onnx([version(1), producer.clone(), graph(b"")].concat());
        let meta_graph = [0x12, 0xb2, 0xcb, 0x01, 0x0a, 0x98, 0x14, 0x12];
        is(&[version(1), meta_graph.to_vec()].concat(), &["SavedModel", "folder"]);
        // What only begins as one of them.
        for other in [
            version(8),
            [version(8), producer.clone()].concat(),
            [version(8), graph(b""), producer.clone()].concat().split_off(2),
            [version(8), field(0x12, b"\x01\x02"), graph(b"")].concat(),
            [version(8), vec![0xff; 20]].concat(),
            [version(8), field(0x3a, b""), producer].concat(),
        ] {
            is(&other, &["first bytes"]);
        }
    }

    #[test]
    fn archives_are_recognized_by_their_names() {
        let of = |names: &[&str]| archive(&names.iter().map(|n| n.to_string()).collect::<Vec<_>>());
        let pytorch = ["archive/data.pkl", "archive/version", "archive/data/0"];
        assert!(of(&pytorch).contains("Model::from_torch"));
        let script = ["silero/data.pkl", "silero/code/__torch__.py", "silero/constants.pkl"];
        assert!(of(&script).contains("torch.jit.load"));
        assert!(of(&["code/__torch__.py", "data.pkl"]).contains("TorchScript"));
        let folder = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            torch_folder(&names).map(str::to_string)
        };
        assert_eq!(folder(&pytorch).as_deref(), Some("archive/"));
        assert_eq!(folder(&["data.pkl", "a/data.pkl"]).as_deref(), Some(""));
        assert_eq!(folder(&script), None);
        assert_eq!(folder(&["notdata.pkl", "config.json"]), None);
        assert!(of(&["config.json", "model.weights.h5"]).contains("Model::from_keras"));
        assert!(of(&["x.npy", "y.npy"]).contains(".npz"));
        assert!(of(&["m/saved_model.pb", "m/variables/variables.index"]).contains("SavedModel"));
        let folder = ["m/config.json", "m/metadata.json", "m/model.weights.h5"];
        assert!(of(&folder).contains("not the folder itself"));
        assert!(of(&["readme.txt", "best.keras"]).contains("\"best.keras\" in it: unpack"));
        assert!(of(&[]).contains("empty zip"));
        let other = of(&["a.txt", "b.txt", "c.txt", &"d".repeat(100)]);
        assert!(other.contains("\"a.txt\", \"b.txt\", \"c.txt\", …"), "{other}");
        assert!(of(&[&"ü".repeat(100)]).ends_with(&format!("{:?}", "ü".repeat(60) + "…")));
        assert!(!of(&["notdata.pkl"]).contains("PyTorch"));
    }

    #[test]
    fn folders_and_parts_of_checkpoints_are_recognized() {
        let dir = tempfile::tempdir().unwrap();
        let is = |words: &str| assert!(folder(dir.path()).contains(words), "{words}");
        is("is a folder: give the model's file");
        std::fs::write(dir.path().join("checkpoint"), "").unwrap();
        is("checkpoints");
        std::fs::write(dir.path().join("config.json"), "").unwrap();
        std::fs::write(dir.path().join("model.weights.h5"), "").unwrap();
        is("an unpacked .keras");
        std::fs::write(dir.path().join("saved_model.pb"), "").unwrap();
        is("a TensorFlow SavedModel");
        assert!(
            by_name(Path::new("a/model-1.data-00000-of-00001")).unwrap().contains("checkpoint")
        );
        for other in ["a/model.h5", "x.data-1", "x.data-a-of-b", "x.data--of-", "/"] {
            assert_eq!(by_name(Path::new(other)), None);
        }
    }
}
