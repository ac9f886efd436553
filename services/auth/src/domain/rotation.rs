//! What a presented refresh token means, by the state of its chain.

use time::OffsetDateTime;

/// What is stored of a token and of its one successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub used_at: Option<OffsetDateTime>,
    pub successor: Option<Successor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    pub used_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The chain's end: its successor is made.
    Rotate,
    /// A lost reply or another tab: nobody has used the successor, so that it is given again.
    Repeat,
    /// The successor was used, so that two hold this chain: one of them stole it.
    Reuse,
}

pub fn judge(link: Link) -> Verdict {
    match link {
        Link { used_at: None, .. } => Verdict::Rotate,
        Link {
            successor: Some(Successor { used_at: None }),
            ..
        } => Verdict::Repeat,
        Link { .. } => Verdict::Reuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A chain as the storage keeps it: every token that was ever made, and whether it was used.
    struct Chain {
        used: Vec<bool>,
        ended: bool,
    }

    impl Chain {
        fn present(&mut self, at: usize) -> Option<usize> {
            if self.ended {
                return None;
            }
            let moment = |used: bool| used.then_some(OffsetDateTime::UNIX_EPOCH);
            let link = Link {
                used_at: moment(self.used[at]),
                successor: self.used.get(at + 1).map(|used| Successor {
                    used_at: moment(*used),
                }),
            };
            match judge(link) {
                Verdict::Rotate => {
                    self.used[at] = true;
                    self.used.push(false);
                    Some(at + 1)
                }
                Verdict::Repeat => Some(at + 1),
                Verdict::Reuse => {
                    self.ended = true;
                    None
                }
            }
        }
    }

    proptest! {
        /// Tabs that share what they get, with lost replies in between, are never signed out, and one token alone is unused.
        #[test]
        fn honest_clients_stay_signed_in(steps in prop::collection::vec((any::<bool>(), 1..5_usize), 1..40)) {
            let mut chain = Chain { used: vec![false], ended: false };
            let mut held = 0;
            for (reply_arrives, tabs) in steps {
                let answers: Vec<_> = (0..tabs).map(|_| chain.present(held)).collect();
                prop_assert!(answers.iter().all(|next| *next == Some(held + 1)));
                if reply_arrives {
                    held += 1;
                }
                prop_assert_eq!(chain.used.iter().filter(|used| !**used).count(), 1);
            }
        }

        /// Whatever is presented in whatever order, the chain has one end, and a token older than the last but one ends the session.
        #[test]
        fn a_chain_never_forks(presented in prop::collection::vec(any::<prop::sample::Index>(), 1..60)) {
            let mut chain = Chain { used: vec![false], ended: false };
            for index in presented {
                let (at, known, was_over) = (index.index(chain.used.len()), chain.used.len(), chain.ended);
                let answer = chain.present(at);
                let is_old = at + 2 < known;
                prop_assert_eq!(answer.is_none(), is_old || was_over);
                prop_assert_eq!(chain.used.iter().rposition(|used| *used).map_or(0, |last| last + 1), chain.used.len() - 1);
            }
        }
    }
}
