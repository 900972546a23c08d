//! `birnn completions` and `birnn man`

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that reads them.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into DIR, birnn.1, birnn-run.1 and so on, instead of printing
    /// the first one.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints what makes a shell complete the program's arguments.
pub fn completions(
    args: &CompletionsArgs,
    mut program: Command,
    out: &mut impl Write,
) -> Result<ExitCode> {
    // It panics where it can't write, as into a pipe that is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "birnn", &mut script);
    out.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs, mut program: Command, out: &mut impl Write) -> Result<ExitCode> {
    let Some(dir) = &args.out else {
        Man::new(program).render(out)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    // Which tells the commands that they are the program's.
    program.build();
    let mut pages = vec![("birnn".to_string(), program.clone())];
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        pages.push((format!("birnn-{}", command.get_name()), command.clone()));
    }
    for (name, page) in pages {
        let path = dir.join(format!("{name}.1"));
        let mut text = Vec::new();
        Man::new(page).render(&mut text)?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "written: {}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
