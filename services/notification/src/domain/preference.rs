//! What a user wants to be told, and how.

use std::collections::HashMap;

use super::schedule::QuietHours;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    Account,
    Courses,
    Exams,
    Announcements,
    Reports,
}

/// The way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    InApp,
    Email,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frequency {
    Now,
    Daily,
    Weekly,
    Off,
}

macro_rules! named {
    ($type:ident: $($variant:ident = $name:literal),+) => {
        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}
named!(Category: Account = "account", Courses = "courses", Exams = "exams", Announcements = "announcements", Reports = "reports");
named!(Channel: InApp = "in_app", Email = "email");
named!(Frequency: Now = "now", Daily = "daily", Weekly = "weekly", Off = "off");

/// Why a choice is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error("mails about the account are sent at once: they are about its safety")]
    AccountMail,
    #[error("is there twice")]
    Twice,
}

/// A user's choices over the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    chosen: HashMap<(Category, Channel), Frequency>,
    pub quiet: Option<QuietHours>,
}

impl Preferences {
    #[must_use]
    pub fn with_quiet(self, quiet: Option<QuietHours>) -> Self {
        Self { quiet, ..self }
    }

    pub fn choose(
        &mut self,
        category: Category,
        channel: Channel,
        frequency: Frequency,
    ) -> Result<(), ChoiceError> {
        if (category, channel) == (Category::Account, Channel::Email) && frequency != Frequency::Now {
            return Err(ChoiceError::AccountMail);
        }
        match self.chosen.insert((category, channel), frequency) {
            Some(_) => Err(ChoiceError::Twice),
            None => Ok(()),
        }
    }

    pub fn frequency(&self, category: Category, channel: Channel) -> Frequency {
        let chosen = self.chosen.get(&(category, channel)).copied();
        chosen.unwrap_or_else(|| default(category, channel))
    }

    /// Whether the inbox shows it. It interrupts nobody, so that summaries of it would make no sense.
    pub fn in_app(&self, category: Category) -> bool {
        self.frequency(category, Channel::InApp) != Frequency::Off
    }

    /// Every category and channel, with its default where nothing was chosen.
    pub fn all(&self) -> impl Iterator<Item = (Category, Channel, Frequency)> {
        let cells = Category::ALL.iter().flat_map(|category| {
            let channels = Channel::ALL.iter();
            channels.map(move |channel| (*category, *channel))
        });
        cells.map(|(category, channel)| (category, channel, self.frequency(category, channel)))
    }
}

/// Everything at once; reports can wait for the week's summary.
fn default(category: Category, channel: Channel) -> Frequency {
    match (category, channel) {
        (Category::Reports, Channel::Email) => Frequency::Weekly,
        _ => Frequency::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_about_the_account_cannot_be_turned_off() {
        let mut preferences = Preferences::default();
        for frequency in [Frequency::Off, Frequency::Daily, Frequency::Weekly] {
            let refused = preferences.choose(Category::Account, Channel::Email, frequency);
            assert_eq!(refused, Err(ChoiceError::AccountMail));
        }
        assert_eq!(
            preferences.frequency(Category::Account, Channel::Email),
            Frequency::Now
        );
        preferences
            .choose(Category::Account, Channel::InApp, Frequency::Off)
            .unwrap();
        assert!(!preferences.in_app(Category::Account));
    }

    #[test]
    fn what_was_not_chosen_has_its_default_and_everything_is_listed() {
        let mut preferences = Preferences::default();
        preferences
            .choose(Category::Exams, Channel::Email, Frequency::Off)
            .unwrap();
        let all: Vec<_> = preferences.all().collect();
        assert_eq!(all.len(), 10);
        assert!(all.contains(&(Category::Exams, Channel::Email, Frequency::Off)));
        assert!(all.contains(&(Category::Reports, Channel::Email, Frequency::Weekly)));
        assert!(all.contains(&(Category::Exams, Channel::InApp, Frequency::Now)));
    }
}
