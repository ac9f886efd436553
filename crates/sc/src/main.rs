//! The program from which every process of the product is started, by its name: `sc exam serve`, or `exam serve` where `exam` is a link
//! to it. One program and not eight: the code that all of them share is in memory once, and optimised as a whole once (docs/adr/0031).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use service_runtime::main as run;

type Main = fn(Vec<OsString>) -> ExitCode;

const PROCESSES: [(&str, Main); 8] = [
    ("gateway", run::<gateway::App>),
    ("auth", run::<auth::App>),
    ("catalog", run::<catalog::App>),
    ("enrollment", run::<enrollment::App>),
    ("exam", run::<exam::App>),
    ("notification", run::<notification::App>),
    ("reporting", run::<reporting::App>),
    ("video-progress", run::<video_progress::App>),
];

/// Of an image: a name that is the same for all (`/app/service`), one of the process, the program.
const MOST_LINKS: usize = 3;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(process) = arguments
        .first()
        .and_then(|program| named_by_link(program.as_ref()))
    {
        return process(arguments);
    }
    let named = arguments.get(1).and_then(|name| process(name.to_str()?));
    if let Some(process) = named {
        arguments.remove(0);
        return process(arguments);
    }
    let names = PROCESSES.map(|(name, _)| name).join(", ");
    #[expect(clippy::print_stderr, reason = "there is no log yet")]
    {
        eprintln!("usage: sc <process> [command]\nprocesses: {names}\ncommands: sc <process> --help");
    }
    ExitCode::FAILURE
}

fn process(name: &str) -> Option<Main> {
    PROCESSES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, main)| *main)
}

fn named_by_link(program: &Path) -> Option<Main> {
    let mut path: PathBuf = program.to_owned();
    for _ in 0..MOST_LINKS {
        if let Some(process) = path.file_name().and_then(|name| process(name.to_str()?)) {
            return Some(process);
        }
        path = std::fs::read_link(&path).ok()?;
    }
    None
}
