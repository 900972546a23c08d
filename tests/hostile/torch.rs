//! Thousands of damaged and hostile files of PyTorch's, the same in every run: each loads or is an
//! error, within seconds and within bounded memory, and none panics or runs anything.

use crate::files;
use crate::files::{Random, Report, damage, unzip, with_member, zip};
use birnn::torch::{StateDict, TorchLimits, TorchOptions};
use birnn::{Error, Model};
use std::path::Path;
use zip::CompressionMethod;

/// Good files of each format, with everything around a state dict that a fixture has.
const SEEDS: [&str; 9] = [
    "file_f32_zip_plain.pt",
    "file_f16_zip_checkpoint.pt",
    "file_f64_zip_lightning.pt",
    "file_f32_legacy_plain.pth",
    "file_bf16_legacy_checkpoint.pth",
    "file_f32_safetensors_plain.safetensors",
    "projected.safetensors",
    "views_legacy.pth",
    "views_zip.pt",
];

fn bytes(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Loads the file as a model, and looks at its parts and all of its tensors.
fn file(report: &mut Report, name: &str, bytes: Vec<u8>) {
    let size = bytes.len();
    let load = || {
        let mut state = StateDict::from_bytes("file", bytes.clone())?;
        let _ = state.parts();
        for tensor in state.tensors().collect::<Vec<_>>() {
            let _ = state.array(&tensor.name);
        }
        let model = TorchOptions::new().load_bytes("file", bytes)?;
        assert!(!model.summary().to_string().is_empty());
        Ok::<(), Error>(())
    };
    report.check(name, load, size);
}

fn damaged(report: &mut Report, random: &mut Random) {
    for name in SEEDS {
        let good = bytes(name);
        file(report, name, good.clone());
        // Every length of a small file, and some of a larger one.
        let step = if good.len() < 2000 { 1 } else { good.len().div_ceil(200) };
        for end in (0..good.len()).step_by(step) {
            file(report, &format!("{name} cut at {end}"), good[..end].to_vec());
        }
        for number in 0..400 {
            let mut bytes = good.clone();
            damage(random, &mut bytes);
            file(report, &format!("{name} changed {number}"), bytes);
        }
    }
}

/// What stands inside of an archive, so that its checksums don't stop it.
fn members(report: &mut Report, random: &mut Random) {
    for name in SEEDS.iter().filter(|name| name.ends_with(".pt")) {
        let good = bytes(name);
        for (member, content) in unzip(&good) {
            for number in 0..if member.ends_with("data.pkl") { 600 } else { 20 } {
                let mut content = content.clone();
                damage(random, &mut content);
                let bytes = with_member(&good, &member, &content);
                file(report, &format!("{name}: {member} changed {number}"), bytes);
            }
        }
    }
}

/// An archive of PyTorch's, packed.
fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut members = vec![("a/data.pkl", pickle)];
    members.extend(storages);
    zip(&members, CompressionMethod::Deflated)
}

/// A file of before PyTorch 1.6 with this object, and one storage of a value.
fn legacy(pickle: &[u8], keys: &[u8]) -> Vec<u8> {
    [
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        &b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."[..],
        pickle,
        keys,
        &1u64.to_le_bytes(),
        &1f32.to_le_bytes(),
    ]
    .concat()
}

/// The instructions for a tensor of the storage 0.
fn tensor(values: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n",
        values,
        b"tQ",
        offset,
        shape,
        strides,
        b"I00\nNtR",
    ]
    .concat()
}

/// A state dict with one value.
fn dict_of(value: &[u8]) -> Vec<u8> {
    [b"}S'weight_hh_l0'\n", value, b"s."].concat()
}

/// Pickles that would make much of little.
fn pickle_bombs(report: &mut Report) {
    const MANY: usize = 2 << 20;
    let name = "n".repeat(1 << 20);
    let class = [format!("cm\n{name}\nq\0").as_bytes(), b"(", &b"h\0".repeat(MANY), b"l."].concat();
    let axes = [b"(", &b"K\x01".repeat(100_000)[..], b"t"].concat();
    let many_axes = tensor(b"K\x01", b"K\0", &axes, &axes);
    let pairs = b"]q\0(h\0h\0lq\0(h\0h\0lq\0(h\0h\0lq\0(h\0h\0lq\0".repeat(15);
    let laughs = [b"}S'a'\n", &pairs[..], b"s."].concat();
    let entries = [b"}q\0(", &b"K\x01h\0".repeat(500_000)[..], b"u."].concat();
    let wide: Vec<u8> = [
        b"}q\x01(",
        &b"K\x01K\x02".repeat(100_000)[..],
        b"u}S'a'\n(",
        &b"h\x01".repeat(100_000),
        b"ls.",
    ]
    .concat();
    let pickles: Vec<(&str, Vec<u8>)> = vec![
        ("a long class fetched often", class),
        ("a shape of many axes", dict_of(&many_axes)),
        ("lists of the list before", laughs),
        ("a dict that holds itself", entries),
        ("a large dict found by many ways", wide),
        ("marks", vec![b'('; 64 << 20]),
        ("lists", vec![b']'; 64 << 20]),
        ("true", vec![0x88; 64 << 20]),
        ("duplicates", [&b"N"[..], &vec![b'2'; 64 << 20]].concat()),
        ("kept values", [&b"N"[..], &vec![0x94; 64 << 20]].concat()),
        ("deep lists", [&vec![b']'; 1 << 20][..], &vec![b'a'; (1 << 20) - 1], b"."].concat()),
        ("deep tuples", [&b")"[..], &vec![0x85; 1 << 20], b"."].concat()),
        (
            "deep dicts",
            [&b"}S'a'\n".repeat(1 << 18)[..], b"N", &vec![b's'; 1 << 18], b"."].concat(),
        ),
        ("calls of calls", {
            let rebuild = b"ctorch._tensor\n_rebuild_from_type_v2\n".to_vec();
            let inner = [&b"q\0"[..], &b"h\0N(h\0NN".repeat(10_000)].concat();
            dict_of(&[rebuild, inner, vec![b't'; 10_000], vec![b'R']].concat())
        }),
        ("a text longer than the file", b"X\xff\xff\xff\xffa.".to_vec()),
        ("a long name", dict_of(b"}S'a'\n}S'b'\nNss")),
    ];
    for (name, pickle) in pickles {
        file(report, &format!("{name}, zip"), archive(&pickle, &[]));
        file(report, &format!("{name}, legacy"), legacy(&pickle, b"(S'0'\nl."));
    }
}

/// Tensors of shapes, strides and places that can't be.
fn odd_tensors(report: &mut Report) {
    let numbers: [&[u8]; 8] = [
        b"K\0",
        b"K\x01",
        b"I-1\n",
        b"J\xff\xff\xff\x7f",
        b"L4611686018427387904L\n",
        b"L9223372036854775807L\n",
        b"L99999999999999999999999L\n",
        b"N",
    ];
    let tuple = |numbers: &[&[u8]]| [b"(", &numbers.concat()[..], b"t"].concat();
    for (place, number) in numbers.into_iter().enumerate() {
        for other in numbers {
            let shapes = [tuple(&[number]), tuple(&[number, other]), tuple(&[other, other, other])];
            for shape in &shapes {
                for value in [
                    tensor(b"K\x01", b"K\0", shape, &tuple(&[b"K\0", b"K\0"])),
                    tensor(b"K\x01", b"K\0", shape, &tuple(&[number])),
                    tensor(number, other, shape, shape),
                    tensor(b"K\x01", number, &tuple(&[b"K\x01"]), &tuple(&[other])),
                ] {
                    let pickle = dict_of(&value);
                    let storage = [("a/data/0", &1f32.to_le_bytes()[..])];
                    file(report, &format!("odd tensor {place}, zip"), archive(&pickle, &storage));
                    let bytes = legacy(&pickle, b"(S'0'\nl.");
                    file(report, &format!("odd tensor {place}, legacy"), bytes);
                }
            }
        }
    }
    for keys in [&b"N."[..], b"(S'0'\nS'0'\nl.", b"(S'1'\nl.", b"(l.", b"(NK\x01l."] {
        let pickle = dict_of(&tensor(b"K\x01", b"K\0", b"(K\x01t", b"(K\x01t"));
        file(report, "other keys of storages", legacy(&pickle, keys));
    }
}

/// A safetensors file with this description and so many bytes behind it.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

fn safetensors_bombs(report: &mut Report) {
    let one = |name: &str, dtype: &str, shape: &str, end: u64| {
        format!(
            "{{\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[0,{end}]}}}}"
        )
    };
    for shape in
        ["[0]", "[1,1]", "[18446744073709551615]", "[4294967296,4294967296]", "[-1]", "[1e9]"]
    {
        for end in [0, 4, 8, u64::MAX] {
            for dtype in ["F32", "F64", "BF16", "F4", "C64", "X"] {
                let header = one("weight_hh_l0", dtype, shape, end);
                file(
                    report,
                    &format!("safetensors {dtype} {shape} {end}"),
                    safetensors(&header, 4),
                );
            }
        }
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    file(report, "safetensors, nested", safetensors(&deep, 0));
    file(
        report,
        "safetensors, a long name",
        safetensors(&one(&"n".repeat(1 << 20), "F32", "[1]", 4), 4),
    );
    let axes = format!("[{}1]", "1,".repeat(1 << 20));
    file(report, "safetensors, many axes", safetensors(&one("weight_hh_l0", "F32", &axes, 4), 4));
    let empty = "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
    let many: Vec<String> = (0..70_000).map(|n| format!("\"{n}\":{{{empty}")).collect();
    file(report, "safetensors, many tensors", safetensors(&format!("{{{}}}", many.join(",")), 0));
    for length in [0, 2, 13, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
        let bytes = [&length.to_le_bytes()[..], b"{\"a\":"].concat();
        file(report, &format!("safetensors, a header of {length}"), bytes);
    }
}

/// Small modules that would take much as models: by a projection, or by layers.
fn large_modules(report: &mut Report) {
    let entry = |name: &str, shape: [usize; 2], at: usize| {
        let end = at + shape[0] * shape[1] * 2;
        let text = format!(
            "\"{name}\":{{\"dtype\":\"F16\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}"
        );
        (text, end)
    };
    let units = 1 << 18;
    let (ih, at) = entry("weight_ih_l0", [4 * units, 1], 0);
    let (hh, at) = entry("weight_hh_l0", [4 * units, 1], at);
    let (hr, at) = entry("weight_hr_l0", [1, units], at);
    file(report, "a projection of many units", safetensors(&format!("{{{ih},{hh},{hr}}}"), at));
    for layers in [900, 20_000] {
        let (mut tensors, mut at) = (Vec::new(), 0);
        for layer in 0..layers {
            for name in ["weight_ih", "weight_hh"] {
                let (text, end) = entry(&format!("{name}_l{layer}"), [1, 1], at);
                tensors.push(text);
                at = end;
            }
        }
        let header = format!("{{{}}}", tensors.join(","));
        file(report, &format!("{layers} layers"), safetensors(&header, at));
    }
}

/// Archives that unpack to much.
fn zip_bombs(report: &mut Report) {
    let zeros = vec![0u8; 160 << 20];
    let pickle = dict_of(&tensor(b"J\0\0\0\x0a", b"K\0", b"(K\x01t", b"(K\x01t"));
    let bomb = archive(&pickle, &[("a/data/0", &zeros)]);
    assert!(bomb.len() < 1 << 20, "a small file");
    file(report, "a storage of 160 MiB", bomb);
    file(report, "a pickle of 160 MiB", archive(&zeros, &[]));
    file(report, "a byte order of 160 MiB", archive(&pickle, &[("a/byteorder", &zeros)]));
}

fn corpus() -> Report {
    let mut report = Report::default();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    damaged(&mut report, &mut random);
    assert!(report.loaded >= SEEDS.len(), "the seeds themselves load");
    members(&mut report, &mut random);
    pickle_bombs(&mut report);
    odd_tensors(&mut report);
    safetensors_bombs(&mut report);
    large_modules(&mut report);
    zip_bombs(&mut report);
    report
}

#[test]
fn thousands_of_hostile_files_are_errors_or_models() {
    files::passes(corpus, 8000);
}

/// A pickle that would run a program is read, and runs none.
#[test]
fn nothing_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let command = format!("touch {}", made.display());
    let call = format!("cposix\nsystem\n(S'{command}'\ntR");
    let pickle = [
        b"}",
        &format!("S'side effect'\n{call}s").into_bytes()[..],
        b"S'weight'\n",
        &tensor(b"K\x01", b"K\0", b"(K\x01t", b"(K\x01t"),
        b"s.",
    ]
    .concat();
    let mut state = StateDict::from_bytes("file", legacy(&pickle, b"(S'0'\nl.")).unwrap();
    assert_eq!(state.tensors().map(|tensor| tensor.name).collect::<Vec<_>>(), ["weight"]);
    assert_eq!(state.array("weight").unwrap().into_iter().collect::<Vec<_>>(), [1.0]);
    assert!(!made.exists());
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Error>, words: &str) {
    match result {
        Err(e @ Error::MalformedFile { .. }) => assert!(e.to_string().contains(words), "{e}"),
        other => panic!("{other:?}"),
    }
}

/// Each limit is named by the error, and can be raised.
#[test]
fn limits_are_named_and_adjustable() {
    let good = bytes("file_f32_zip_plain.pt");
    let with = |limits: TorchLimits| -> Result<Model, Error> {
        TorchOptions::new().limits(limits).load_bytes("file", good.clone())
    };
    assert!(with(TorchLimits::new()).is_ok());
    let new = TorchLimits::new;
    let cases: [(&str, TorchLimits, TorchLimits); 4] = [
        ("file_bytes", new().file_bytes(1000), new().file_bytes(good.len() as u64)),
        ("unpacked_bytes", new().unpacked_bytes(500), new().unpacked_bytes(2000)),
        ("values", new().values(100), new().values(1000)),
        ("tensors", new().tensors(3), new().tensors(4)),
    ];
    for (name, low, high) in cases {
        says(with(low), &format!("TorchLimits::{name}"));
        assert!(with(high).is_ok(), "{name}");
    }
}
