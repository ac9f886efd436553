//! The receipt of a hand-in, computed by somebody who has only what the API tells: SHA-256 over the attempt's id and, in the order of
//! question ids, each answer with its sequence.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The 16 bytes of a UUID in text.
fn id(text: &str) -> Vec<u8> {
    hex::decode(text.replace('-', "")).unwrap_or_default()
}

/// Of an attempt whose answers, if any, are choices.
pub fn receipt(attempt: &str, answers: &[Value]) -> String {
    let mut hash = Sha256::new();
    hash.update(id(attempt));
    let of = |answer: &Value| answer["question_id"].as_str().map(id).unwrap_or_default();
    let mut answers: Vec<&Value> = answers.iter().collect();
    answers.sort_by_key(|answer| of(answer));
    for answer in answers {
        hash.update(of(answer));
        let sequence = i32::try_from(answer["sequence"].as_i64().unwrap_or_default()).unwrap_or_default();
        hash.update(sequence.to_be_bytes());
        let options = answer["option_ids"].as_array().into_iter().flatten();
        let mut options: Vec<Vec<u8>> = options.filter_map(Value::as_str).map(id).collect();
        options.sort();
        hash.update((options.len() as u64).to_be_bytes());
        options.iter().for_each(|option| hash.update(option));
        match answer["number"].as_f64() {
            Some(number) => hash.update(number.to_be_bytes()),
            None => hash.update(b"-"),
        }
        let text = answer["text"].as_str().unwrap_or_default();
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hex::encode(hash.finalize())
}
