//! The load generator finds its way through the public API. What it measures beside other tests means nothing.

use std::fs;
use std::process::Command;

use journeys::Stack;
use journeys::people::{PASSWORD, admin, teacher};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_smoke_run_ends_with_verdicts_and_a_report() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let folder = stack.describe();
    let reports = folder.join("reports");
    let account = |email: &str| format!("{email}:{PASSWORD}");
    let mut load = Command::new(Stack::program("sc-load"));
    load.args(["bench", "--smoke", "--database", stack.database()])
        .args([
            "--teacher",
            &account(&deniz.email),
            "--admin",
            &account(&boss.email),
        ])
        .arg("--folder")
        .arg(folder)
        .arg("--reports")
        .arg(&reports);
    let done = tokio::task::spawn_blocking(move || load.output())
        .await
        .unwrap()
        .unwrap();
    let (said, faults) = (
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr).into_owned(),
    );
    assert!(done.status.success(), "{said}{faults}");
    assert!(said.contains("verdict"), "{said}");

    let files: Vec<_> = fs::read_dir(&reports)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let with = |extension: &str| {
        let found = files
            .iter()
            .find(|path| path.extension().is_some_and(|e| e == extension));
        fs::read_to_string(found.unwrap()).unwrap()
    };
    let results: Value = serde_json::from_str(&with("json")).unwrap();
    assert_eq!(results["saturation"].as_array().unwrap().len(), 9, "{results}");
    for one in results["saturation"].as_array().unwrap() {
        let codes: Vec<&String> = one["median"]["statuses"].as_object().unwrap().keys().collect();
        assert!(codes.iter().all(|code| code.starts_with('2')), "{one}");
    }
    for crowd in ["users", "overload"] {
        assert!(
            results[crowd]["all"]["done"].as_u64().unwrap() > 0,
            "{}",
            results[crowd]["all"]
        );
    }
    let page = with("html");
    assert!(page.contains("Load on Student Coaching") && !page.contains("/*RESULTS*/"));
}
