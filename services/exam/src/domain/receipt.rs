//! What a student gets in exchange for a hand-in: a hash that anybody can compute again from the stored answers.

use aws_lc_rs::digest::{Context, SHA256};
use typed_id::{AttemptId, QuestionId};

use super::answer::Answer;

/// SHA-256 over the attempt's id and, in the order of question ids, each answer with its sequence; lengths go before texts, so that
/// no two sets of answers look alike.
pub fn receipt(attempt: AttemptId, answers: &[(QuestionId, i32, &Answer)]) -> Vec<u8> {
    let mut sorted: Vec<_> = answers.iter().collect();
    sorted.sort_by_key(|(question, ..)| *question);
    let mut hash = Context::new(&SHA256);
    hash.update(attempt.0.as_bytes());
    for (question, sequence, answer) in sorted {
        hash.update(question.0.as_bytes());
        hash.update(&sequence.to_be_bytes());
        let mut options = answer.option_ids.clone();
        options.sort_unstable();
        hash.update(&(options.len() as u64).to_be_bytes());
        for option in options {
            hash.update(option.as_bytes());
        }
        match answer.number {
            Some(number) => hash.update(&number.to_be_bytes()),
            None => hash.update(b"-"),
        }
        hash.update(&(answer.text.len() as u64).to_be_bytes());
        hash.update(answer.text.as_bytes());
    }
    hash.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn it_depends_on_every_answer_and_not_on_their_order(texts in prop::collection::vec("\\PC{0,8}", 1..6), at in any::<prop::sample::Index>()) {
            let attempt = AttemptId(Uuid::from_u128(7));
            let answers: Vec<Answer> = texts.iter().map(|text| Answer { text: text.clone(), ..Answer::default() }).collect();
            let list = |answers: &[Answer]| -> Vec<(QuestionId, i32, Answer)> {
                answers.iter().enumerate().map(|(place, answer)| (QuestionId(Uuid::from_u128(place as u128)), 1, answer.clone())).collect()
            };
            let hash = |list: &[(QuestionId, i32, Answer)]| {
                let refs: Vec<_> = list.iter().map(|(id, sequence, answer)| (*id, *sequence, answer)).collect();
                receipt(attempt, &refs)
            };
            let all = list(&answers);
            let mut reversed = all.clone();
            reversed.reverse();
            prop_assert_eq!(hash(&all), hash(&reversed));
            let mut other = all.clone();
            other[at.index(all.len())].2.text.push('x');
            prop_assert_ne!(hash(&all), hash(&other));
        }
    }
}
