//! Which section of a course a student gets.

use time::OffsetDateTime;
use typed_id::SectionId;

/// A section as somebody who enrols sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    pub id: SectionId,
    pub ends_at: Option<OffsetDateTime>,
    /// `None`: as many as the course has.
    pub seats_left: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the course has no such section")]
    Unknown,
    #[error("the section is over")]
    Closed,
    #[error("all seats of the section are taken")]
    Full,
    #[error("there are several to choose from")]
    Required,
}

/// The section for somebody who wants that one, or whichever there is. A course without sections has none to offer; of several, the
/// student has to choose. With `is_staff` nobody has to.
pub fn choose(
    offers: &[Offer],
    wanted: Option<SectionId>,
    is_staff: bool,
    now: OffsetDateTime,
) -> Result<Option<Offer>, Refusal> {
    let is_open = |offer: &&Offer| offer.ends_at.is_none_or(|end| now < end);
    let offer = match wanted {
        Some(id) => {
            let offer = offers
                .iter()
                .find(|offer| offer.id == id)
                .ok_or(Refusal::Unknown)?;
            Some(offer).filter(is_open).ok_or(Refusal::Closed)?
        }
        None if is_staff || offers.is_empty() => return Ok(None),
        None => {
            let mut open = offers.iter().filter(is_open);
            match (open.next(), open.next()) {
                (None, _) => return Err(Refusal::Closed),
                (Some(only), None) => only,
                _ => return Err(Refusal::Required),
            }
        }
    };
    if offer.seats_left.is_some_and(|left| left <= 0) {
        return Err(Refusal::Full);
    }
    Ok(Some(*offer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;
    use uuid::Uuid;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn offers() -> impl Strategy<Value = Vec<Offer>> {
        let one = (prop::option::of(-5..5_i64), prop::option::of(-1..3_i64));
        prop::collection::vec(one, 0..4).prop_map(|all| {
            let numbered = (0_u128..).zip(all);
            numbered
                .map(|(number, (end, seats_left))| Offer {
                    id: SectionId(Uuid::from_u128(number)),
                    ends_at: end.map(|end| NOW + Duration::seconds(end)),
                    seats_left,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn who_gets_a_section_gets_one_that_is_open_and_has_a_seat(offers in offers(), wanted in prop::option::of(0..5_u128), is_staff in any::<bool>()) {
            let wanted = wanted.map(|number| SectionId(Uuid::from_u128(number)));
            match choose(&offers, wanted, is_staff, NOW) {
                Ok(Some(offer)) => {
                    prop_assert!(offers.contains(&offer));
                    prop_assert!(offer.ends_at.is_none_or(|end| NOW < end) && offer.seats_left.is_none_or(|left| left > 0));
                    prop_assert!(wanted.is_none_or(|wanted| wanted == offer.id));
                }
                Ok(None) => prop_assert!(wanted.is_none() && (is_staff || offers.is_empty())),
                Err(Refusal::Unknown) => prop_assert!(offers.iter().all(|offer| Some(offer.id) != wanted)),
                Err(Refusal::Required) => prop_assert!(wanted.is_none() && offers.len() > 1),
                Err(Refusal::Closed | Refusal::Full) => prop_assert!(!offers.is_empty()),
            }
        }
    }
}
