//! Files that other systems made. They are not part of this repository: the test is skipped where they are absent.

#![expect(clippy::print_stdout, reason = "the table of what was read")]

use std::fs;
use std::path::{Path, PathBuf};

use people_files::{Enrollments, People, RowFault};

fn folder() -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared =
        std::env::var_os("SC_SHARED_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let folder = project.join(shared).join("3-rosters-xapi-lti");
    if !folder.is_dir() {
        println!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

/// How many rows are read of how many, and why the others are not.
fn told<T>(rows: Result<impl Iterator<Item = Result<T, RowFault>>, RowFault>) -> (usize, usize, Vec<String>) {
    let rows: Vec<_> = match rows {
        Ok(rows) => rows.collect(),
        Err(fault) => return (0, 0, vec![fault.to_string()]),
    };
    let read = rows.iter().filter(|row| row.is_ok()).count();
    let faults = rows.iter().filter_map(|row| row.as_ref().err());
    (read, rows.len(), faults.map(ToString::to_string).collect())
}

#[test]
fn real_files_are_read() {
    let Some(folder) = folder() else {
        return;
    };
    let expected = [
        ("moodle-csv/upload_users.csv", (2, 2), (2, 2)),
        // Courses, grades and ways to enrol: no people.
        ("moodle-csv/courses.csv", (0, 0), (0, 0)),
        ("moodle-csv/enrolment_multiple.csv", (0, 0), (0, 0)),
        ("moodle-csv/enrolment_role.csv", (0, 0), (0, 0)),
        ("moodle-csv/upload_grades.csv", (0, 0), (1, 1)),
        ("oneroster-catalyst/Test_full_data_set.zip", (6, 6), (6, 6)),
        // OneRoster lets addresses be absent; an account needs one.
        ("oneroster-catalyst/Test_minimal_data_set.zip", (0, 6), (0, 6)),
    ];
    for (name, people, enrollments) in expected {
        let bytes = fs::read(folder.join(name)).unwrap();
        let (read, all, faults) = told(People::new(&bytes, str::to_lowercase));
        println!("{name}: people {read} of {all} {faults:#?}");
        assert_eq!((read, all), people, "{name}");
        let (read, all, faults) = told(Enrollments::new(&bytes));
        println!("{name}: enrolments {read} of {all} {faults:#?}");
        assert_eq!((read, all), enrollments, "{name}");
    }
}
