//! Which process the program is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sc");

/// Whether it ended well, and what it said.
fn told(program: &Path, arguments: &[&str]) -> (bool, String) {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_first_argument_names_the_process() {
    let help = |name| told(Path::new(PROGRAM), &[name, "--help"]);
    let (is_good, said) = help("catalog");
    assert!(is_good && said.contains("import"), "{said}");
    let (is_good, said) = help("auth");
    assert!(
        is_good && said.contains("keys") && !said.contains("import"),
        "{said}"
    );
    for nobody in ["", "sc", "examination"] {
        let (is_good, said) = help(nobody);
        assert!(!is_good && said.contains("video-progress"), "{nobody}: {said}");
    }
    assert!(!told(Path::new(PROGRAM), &[]).0);
}

#[test]
fn a_link_names_the_process_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    // As in an image.
    symlink(PROGRAM, at("sc")).unwrap();
    symlink("sc", at("catalog")).unwrap();
    symlink(at("catalog"), at("service")).unwrap();
    for name in ["catalog", "service"] {
        let (is_good, said) = told(&at(name), &["--help"]);
        assert!(is_good && said.contains("import"), "{name}: {said}");
    }
}
