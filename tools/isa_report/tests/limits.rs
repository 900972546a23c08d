//! No kernel spills registers or uses scratch memory on any of the GPUs, where the driver that
//! tells is at hand.

use std::io::Write;
use std::process::Command;

#[test]
fn no_kernel_spills_or_uses_scratch_memory() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_isa_report")).arg("--check").output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {
            let table = String::from_utf8_lossy(&output.stdout);
            assert!(table.contains("lstm_step") && table.contains("input_projection"), "{table}");
        }
        Some(3) => {
            // Not eprintln!: the test harness would swallow it.
            let _ = write!(std::io::stderr(), "{errors}");
        }
        _ => panic!("{errors}"),
    }
}
