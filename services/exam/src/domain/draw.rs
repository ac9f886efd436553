//! Which questions an attempt has, and in which order. Everything follows from the attempt's seed, so that every device and every
//! instance shows the same: the generator is written out here, as a library's may change with its version.

use uuid::Uuid;

use super::question::{Choice, Question};
use super::revision::Revision;

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, by multiplication: the bias is less than one in 2^50 for any list that there is.
    fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        (wide >> 64) as usize
    }

    /// Fisher and Yates.
    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last + 1);
            all.swap(last, other);
        }
    }
}

/// The questions of an attempt, in their order: the exam's own, and as many of each tag as it draws, none twice.
pub fn questions(revision: &Revision, seed: i64) -> Vec<&Question> {
    let mut generator = Generator(seed.cast_unsigned());
    let mut drawn: Vec<&Question> = revision.fixed.iter().collect();
    for draw in &revision.draws {
        let mut pool: Vec<&Question> = revision
            .pool
            .iter()
            .filter(|question| question.content.tags.contains(&draw.tag))
            .filter(|question| drawn.iter().all(|known| known.id != question.id))
            .collect();
        generator.shuffle(&mut pool);
        pool.truncate(usize::try_from(draw.count).unwrap_or_default());
        drawn.extend(pool);
    }
    if revision.rules.shuffle_questions {
        generator.shuffle(&mut drawn);
    }
    drawn
}

/// The options of a question in the order of an attempt.
pub fn options<'a>(revision: &Revision, question: &'a Question, seed: i64) -> Vec<&'a Choice> {
    let mut all: Vec<&Choice> = question.content.body.options().iter().collect();
    let is_true_false = question.content.body.kind() == "true_false";
    if revision.rules.shuffle_options && !is_true_false {
        Generator(seed.cast_unsigned() ^ mix(question.id.0)).shuffle(&mut all);
    }
    all
}

fn mix(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    high ^ low.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::revision::tests::revision;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn a_seed_decides_everything(fixed in 0..6_usize, pool in 0..12_usize, count in 0..8_i32, seed in any::<i64>(), shuffle in any::<bool>()) {
            let revision = revision(fixed, pool, count, shuffle);
            let first = questions(&revision, seed);
            prop_assert_eq!(&first, &questions(&revision, seed));
            let ids: HashSet<_> = first.iter().map(|question| question.id).collect();
            prop_assert_eq!(ids.len(), first.len(), "none twice");
            prop_assert_eq!(first.len(), fixed + pool.min(usize::try_from(count).unwrap()));
            for question in &first {
                let shown = options(&revision, question, seed);
                prop_assert_eq!(&shown, &options(&revision, question, seed));
                prop_assert_eq!(shown.len(), question.content.body.options().len());
            }
        }
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut generator = Generator(1_234_567);
        assert_eq!(generator.next(), 6_457_827_717_110_365_317);
        assert_eq!(generator.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_are_even() {
        let revision = revision(0, 10, 1, false);
        let mut counts = std::collections::HashMap::new();
        for seed in 0..10_000 {
            *counts.entry(questions(&revision, seed)[0].id).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 10);
        assert!(
            counts.values().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
    }
}
