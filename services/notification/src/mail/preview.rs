//! Every mail in every language with sample data, on the admin port of development: `/dev/mails`.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::domain::message::{Locale, MailKind, Values, Week};
use crate::domain::texts::{DigestItem, MailContent, TextError, Texts};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:32px auto;max-width:1200px;padding:0 16px;color:#1c2430}\
    h1{font-size:22px}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:8px 12px;border-bottom:1px solid #dfe3e8}\
    .twins{display:grid;grid-template-columns:3fr 2fr;gap:24px}iframe,pre{border:1px solid #dfe3e8;border-radius:8px;margin:0;width:100%;\
    height:640px;box-sizing:border-box}pre{padding:24px;white-space:pre-wrap;overflow:auto}";

pub fn routes(texts: Texts) -> Router {
    Router::new()
        .route("/dev/mails", get(index))
        .route("/dev/mails/{kind}/{locale}", get(page))
        .route("/dev/mails/{kind}/{locale}/html", get(html))
        .with_state(Arc::new(texts))
}

async fn index(State(texts): State<Arc<Texts>>) -> Response {
    let mut rows = String::new();
    for kind in MailKind::ALL {
        let name = kind.as_str();
        let _ = write!(rows, "<tr><th>{name}</th>");
        for locale in Locale::ALL {
            let subject = match sample(&texts, kind, locale) {
                Ok(mail) => escaped(&mail.subject),
                Err(fault) => return broken(&fault),
            };
            let _ = write!(
                rows,
                "<td><a href=\"/dev/mails/{name}/{}\">{subject}</a></td>",
                locale.as_str()
            );
        }
        let (topic, priority) = (kind.topic(), kind.priority().as_str());
        let _ = write!(rows, "<td>{topic}</td><td>{priority}</td></tr>");
    }
    Html(format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Mails</title><style>{STYLE}</style><h1>Mails</h1>\
         <table><tr><th>kind</th><th>tr</th><th>en</th><th>topic</th><th>priority</th></tr>{rows}</table>"
    ))
    .into_response()
}

/// Both twins side by side.
async fn page(State(texts): State<Arc<Texts>>, Path((kind, locale)): Path<(String, String)>) -> Response {
    let Some((kind, locale)) = known(&kind, &locale) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match sample(&texts, kind, locale) {
        Ok(mail) => Html(format!(
            "<!doctype html><html lang=\"{language}\"><meta charset=\"utf-8\"><title>{subject}</title><style>{STYLE}</style>\
             <p><a href=\"/dev/mails\">Mails</a> · {name} · {language}</p><h1>{subject}</h1>\
             <div class=\"twins\"><iframe title=\"HTML\" sandbox src=\"/dev/mails/{name}/{language}/html\"></iframe>\
             <pre>{text}</pre></div></html>",
            name = kind.as_str(),
            language = locale.as_str(),
            subject = escaped(&mail.subject),
            text = escaped(&mail.text),
        ))
        .into_response(),
        Err(fault) => broken(&fault),
    }
}

async fn html(State(texts): State<Arc<Texts>>, Path((kind, locale)): Path<(String, String)>) -> Response {
    let Some((kind, locale)) = known(&kind, &locale) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match sample(&texts, kind, locale) {
        Ok(mail) => Html(mail.html).into_response(),
        Err(fault) => broken(&fault),
    }
}

fn known(kind: &str, locale: &str) -> Option<(MailKind, Locale)> {
    let kind = MailKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let locale = Locale::ALL.into_iter().find(|known| known.as_str() == locale)?;
    Some((kind, locale))
}

fn sample(texts: &Texts, kind: MailKind, locale: Locale) -> Result<MailContent, TextError> {
    let values = Values {
        name: "Şule Öğretmen".into(),
        course_title: "Türev & İntegral".into(),
        exam_title: "1. Ara Sınav".into(),
        status: "suspended".into(),
        title: "Cuma günü ders yok".into(),
        body: "Cuma günkü ders pazartesiye alındı.\nSaat aynı: 10.00.".into(),
        expires_at: "15.01.2027 11:00 (UTC+3)".into(),
        happened_at: "15.01.2027 10:42 (UTC+3)".into(),
        address: "https://registrar.example.edu/hooks/sc".into(),
        week: Week {
            first_day: "04.01.2027".into(),
            last_day: "10.01.2027".into(),
            active_students: 41,
            enrollments: 7,
            videos_completed: 103,
            courses_completed: 2,
            attempts_submitted: 38,
            average_score: "74".into(),
        },
    };
    let link = "https://school.example/courses/0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a13";
    if kind != MailKind::Digest {
        return texts.mail(kind, locale, &values, Some(link));
    }
    let items = [
        ("Kaydınız tamamlandı: Türev & İntegral", ""),
        ("Türev & İntegral: Cuma günü ders yok", values.body.as_str()),
    ];
    let items = items.map(|(title, body)| DigestItem {
        title: title.into(),
        body: body.into(),
        link: link.into(),
    });
    texts.digest(locale, &values.name, &items)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn broken(fault: &TextError) -> Response {
    tracing::error!(error = fault as &dyn std::error::Error, "a mail cannot be shown");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No text asks for a value that its sample lacks, and none is left in it unfilled.
    #[test]
    fn every_mail_has_a_sample_in_both_languages() {
        let texts = Texts::load().unwrap();
        for kind in MailKind::ALL {
            for locale in Locale::ALL {
                let mail = sample(&texts, kind, locale).unwrap();
                for part in [&mail.subject, &mail.text, &mail.html] {
                    assert!(
                        !part.trim().is_empty() && !part.contains("{{"),
                        "{kind:?} {locale:?}"
                    );
                }
                assert!(mail.text.contains("Şule Öğretmen") && mail.html.contains("Şule Öğretmen"));
            }
        }
        assert!(known("welcome", "tr").is_some());
        assert!(known("welcome", "de").is_none() && known("../x", "tr").is_none());
    }
}
