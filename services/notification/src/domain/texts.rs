//! The texts in both languages, and how a message is made of them.

use std::collections::HashMap;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Deserialize;

use super::message::{Locale, MailKind, NotificationKind, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    layout: Layout,
    mail: HashMap<String, MailText>,
    notification: HashMap<String, NotificationText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    greeting: String,
    closing: String,
}

impl Language {
    /// The texts with something to fill in.
    fn templates(&self) -> impl Iterator<Item = &String> {
        let mails = self
            .mail
            .values()
            .flat_map(|text| text.paragraphs.iter().chain([&text.subject]));
        let notifications = self
            .notification
            .values()
            .flat_map(|text| [&text.title, &text.body]);
        mails.chain(notifications).chain([&self.layout.greeting])
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailText {
    subject: String,
    paragraphs: Vec<String>,
    action: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotificationText {
    title: String,
    body: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("the texts cannot be read")]
    Read(#[from] toml::de::Error),
    #[error("there is no text for {0}")]
    Missing(&'static str),
    #[error("a text cannot be rendered")]
    Render(#[from] minijinja::Error),
}

/// A rendered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailContent {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// One message of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestItem {
    pub title: String,
    pub body: String,
    /// Empty for none.
    pub link: String,
}

/// A rendered entry of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationContent {
    pub title: String,
    pub body: String,
}

pub struct Texts {
    /// Each text is parsed once, and has itself for a name.
    environment: Environment<'static>,
    turkish: Language,
    english: Language,
}

impl Texts {
    /// Reads the embedded texts and renders each once, so that a missing or broken one stops the start and not a mail.
    pub fn load() -> Result<Self, TextError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name == "layout.html" {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        environment.add_template("layout.html", include_str!("../../templates/layout.html"))?;
        environment.add_template("layout.txt", include_str!("../../templates/layout.txt"))?;
        let turkish: Language = toml::from_str(include_str!("../../templates/tr.toml"))?;
        let english: Language = toml::from_str(include_str!("../../templates/en.toml"))?;
        for text in turkish.templates().chain(english.templates()) {
            environment.add_template_owned(text.clone(), text.clone())?;
        }
        let texts = Self {
            environment,
            turkish,
            english,
        };
        for locale in Locale::ALL {
            for kind in MailKind::ALL {
                texts.mail(kind, locale, &Values::default(), None)?;
            }
            for kind in NotificationKind::ALL {
                texts.notification(kind, locale, &Values::default())?;
            }
        }
        Ok(texts)
    }

    pub fn mail(
        &self,
        kind: MailKind,
        locale: Locale,
        values: &Values,
        link: Option<&str>,
    ) -> Result<MailContent, TextError> {
        self.compose(kind, locale, values, link, &[])
    }

    /// Several messages in one mail.
    pub fn digest(&self, locale: Locale, name: &str, items: &[DigestItem]) -> Result<MailContent, TextError> {
        let values = Values {
            name: name.to_owned(),
            ..Values::default()
        };
        self.compose(MailKind::Digest, locale, &values, None, items)
    }

    fn compose(
        &self,
        kind: MailKind,
        locale: Locale,
        values: &Values,
        link: Option<&str>,
        items: &[DigestItem],
    ) -> Result<MailContent, TextError> {
        let language = self.language(locale);
        let text = language
            .mail
            .get(kind.as_str())
            .ok_or(TextError::Missing(kind.as_str()))?;
        let filled = context_of(values);
        let subject = one_line(&self.fill(&text.subject, &filled)?);
        let paragraphs: Vec<String> = text
            .paragraphs
            .iter()
            .map(|paragraph| self.fill(paragraph, &filled))
            .collect::<Result<_, _>>()?;
        let items: Vec<Value> = items
            .iter()
            .map(|DigestItem { title, body, link }| context! { title, body, link })
            .collect();
        let layout = context! {
            locale => locale.as_str(), subject => &subject, paragraphs => paragraphs, items => items,
            greeting => self.fill(&language.layout.greeting, &filled)?, closing => &language.layout.closing,
            link => link.filter(|_| text.action.is_some()), action => &text.action,
        };
        Ok(MailContent {
            text: self.environment.get_template("layout.txt")?.render(&layout)?,
            html: self.environment.get_template("layout.html")?.render(&layout)?,
            subject,
        })
    }

    pub fn notification(
        &self,
        kind: NotificationKind,
        locale: Locale,
        values: &Values,
    ) -> Result<NotificationContent, TextError> {
        let texts = &self.language(locale).notification;
        let text = texts
            .get(kind.text_key())
            .ok_or(TextError::Missing(kind.text_key()))?;
        let filled = context_of(values);
        Ok(NotificationContent {
            title: self.fill(&text.title, &filled)?,
            body: self.fill(&text.body, &filled)?,
        })
    }

    fn language(&self, locale: Locale) -> &Language {
        match locale {
            Locale::Tr => &self.turkish,
            Locale::En => &self.english,
        }
    }

    fn fill(&self, text: &str, values: &Value) -> Result<String, minijinja::Error> {
        self.environment.get_template(text)?.render(values)
    }
}

fn context_of(values: &Values) -> Value {
    let Values {
        name,
        course_title,
        exam_title,
        status,
        title,
        body,
        expires_at,
        week,
        happened_at,
        address,
    } = values;
    let week = context! {
        first_day => &week.first_day, last_day => &week.last_day, active_students => week.active_students,
        enrollments => week.enrollments, videos_completed => week.videos_completed,
        courses_completed => week.courses_completed, attempts_submitted => week.attempts_submitted,
        average_score => &week.average_score,
    };
    context! { name, course_title, exam_title, status, title, body, expires_at, happened_at, address, week }
}

/// A subject is a header: a line break in a course's title must not begin another one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(course_title: &str) -> Values {
        Values {
            name: "Ada".into(),
            course_title: course_title.into(),
            exam_title: course_title.into(),
            ..Values::default()
        }
    }

    #[test]
    fn every_text_there_is_belongs_to_a_kind_in_both_languages() {
        let texts = Texts::load().unwrap();
        for language in [&texts.turkish, &texts.english] {
            assert_eq!(language.mail.len(), MailKind::ALL.len());
            assert_eq!(language.notification.len(), NotificationKind::ALL.len());
        }
    }

    #[test]
    fn the_html_twin_is_escaped_and_the_text_is_not() {
        let texts = Texts::load().unwrap();
        let values = values("<b>Türev & İntegral</b>");
        let mail = texts
            .mail(
                MailKind::EnrollmentCreated,
                Locale::Tr,
                &values,
                Some("https://x.test/a?b=1&c=2"),
            )
            .unwrap();
        assert_eq!(mail.subject, "Kaydınız tamamlandı: <b>Türev & İntegral</b>");
        assert!(
            mail.text
                .contains("“<b>Türev & İntegral</b>” dersine kaydoldunuz"),
            "{}",
            mail.text
        );
        assert!(!mail.html.contains("<b>"), "{}", mail.html);
        assert!(mail.text.contains("Dersi aç: https://x.test/a?b=1&c=2"));
    }

    #[test]
    fn a_digest_has_all_its_items_in_both_languages_and_both_twins() {
        let texts = Texts::load().unwrap();
        let item = |title: &str, link: &str| DigestItem {
            title: title.into(),
            body: "a < b".into(),
            link: link.into(),
        };
        let items = [item("Türev", "https://x.test/1"), item("Integral", "")];
        for locale in Locale::ALL {
            let mail = texts.digest(locale, "Ada", &items).unwrap();
            assert!(
                mail.text
                    .contains("* Türev\n  a < b\n  https://x.test/1\n\n* Integral"),
                "{}",
                mail.text
            );
            assert!(
                mail.html.contains("Integral") && mail.html.contains("a &lt; b"),
                "{}",
                mail.html
            );
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        let texts = Texts::load().unwrap();
        let mail = texts
            .mail(
                MailKind::EnrollmentCreated,
                Locale::En,
                &values("a\r\nBcc: all@example.edu"),
                None,
            )
            .unwrap();
        assert_eq!(mail.subject, "You are enrolled: a Bcc: all@example.edu");
    }

    #[test]
    fn a_template_in_a_name_stays_text() {
        let texts = Texts::load().unwrap();
        let mail = texts
            .mail(
                MailKind::EnrollmentCreated,
                Locale::En,
                &values("{{ name }}"),
                None,
            )
            .unwrap();
        assert_eq!(mail.subject, "You are enrolled: {{ name }}");
    }
}
