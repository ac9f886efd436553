//! Between the contract's messages and the use cases' types.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::enrollment::v1::{
    CreateSectionRequest, Enrollment, EnrollmentState, ImportEnrollmentsRequest, ImportEnrollmentsResponse,
    ImportedRow, ListEnrollmentsResponse, Section, UpdateSectionRequest,
};
pub use contracts::fields::id;
use contracts::fields::{self, clearable};
use contracts::timestamp;
use problem::Problem;
use time::OffsetDateTime;
use typed_id::SectionId;

use crate::domain::status::Status;
use crate::storage::enrollments::{Enrollment as Stored, Listed};
use crate::storage::sections::Section as StoredSection;
use crate::usecases::import_enrollments::{RowReport, Source};
use crate::usecases::list_mine::{Page, Paging};
use crate::usecases::sections::Changes;
use crate::usecases::take_seats::Enrolled;

pub fn status(text: &str) -> Result<Status, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid_field("status", "string.in", "is not a state of an enrolment"))
}

pub fn status_filter(text: Option<&str>) -> Result<Option<Status>, Problem> {
    text.map(status).transpose()
}

pub fn section_id(text: Option<&str>) -> Result<Option<SectionId>, Problem> {
    text.map(|text| id("section_id", text)).transpose()
}

/// `None` leaves the field; an empty text clears it.
pub fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Option<OffsetDateTime>>, Problem> {
    clearable(text, |text| fields::moment(field, text))
}

pub fn changes_of_create(req: CreateSectionRequest) -> Result<Changes, Problem> {
    Ok(Changes {
        starts_at: moment("starts_at", req.starts_at.as_deref())?,
        ends_at: moment("ends_at", req.ends_at.as_deref())?,
        name: Some(req.name),
        term: req.term,
        seat_limit: Some(req.seat_limit),
    })
}

pub fn changes_of_update(req: UpdateSectionRequest) -> Result<Changes, Problem> {
    Ok(Changes {
        starts_at: moment("starts_at", req.starts_at.as_deref())?,
        ends_at: moment("ends_at", req.ends_at.as_deref())?,
        name: req.name,
        term: req.term,
        seat_limit: req
            .seat_limit
            .map(|limit| Some(limit).filter(|limit| *limit >= 0)),
    })
}

impl From<StoredSection> for Section {
    fn from(stored: StoredSection) -> Self {
        Self {
            id: stored.id.into(),
            course_id: stored.course_id.into(),
            name: stored.name,
            term: stored.term,
            starts_at: stored.starts_at.map(timestamp),
            ends_at: stored.ends_at.map(timestamp),
            seat_limit: stored.seat_limit,
            seats_taken: i32::try_from(stored.seats_taken).unwrap_or(i32::MAX),
            created_at: Some(timestamp(stored.created_at)),
        }
    }
}

pub fn paging(size: Option<i32>, token: Option<String>) -> Paging {
    Paging {
        size: postgres::page_size(size),
        token,
    }
}

pub fn source(req: ImportEnrollmentsRequest) -> Result<Source, Problem> {
    let bytes = if req.content_base64.is_empty() {
        req.content.into_bytes()
    } else {
        STANDARD
            .decode(req.content_base64.as_bytes())
            .map_err(|_| Problem::invalid_field("content_base64", "string.base64", "has to be base64"))?
    };
    let is_package = people_files::is_package(&bytes);
    if req
        .format
        .is_some_and(|format| (format == "oneroster") != is_package)
    {
        let detail = "a OneRoster package is a zip file, and CSV is none";
        return Err(Problem::invalid_field("format", "format.other", detail));
    }
    Ok(Source {
        bytes,
        course_code: req.course_code,
        dry_run: req.dry_run,
    })
}

pub fn import_report(rows: Vec<RowReport>, dry_run: bool) -> ImportEnrollmentsResponse {
    let mut tell = request_context::with(|context| context.language).teller();
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let count = |outcome: &str| number(rows.iter().filter(|row| row.outcome.name() == outcome).count());
    ImportEnrollmentsResponse {
        found: number(rows.len()),
        created: count("created"),
        updated: count("updated"),
        unchanged: count("unchanged"),
        refused: count("refused"),
        rows: rows
            .into_iter()
            .map(|row| {
                let (code, detail) = row.outcome.reason();
                ImportedRow {
                    line: i32::try_from(row.line).unwrap_or(i32::MAX),
                    outcome: row.outcome.name().to_owned(),
                    code: code.to_owned(),
                    detail: tell(detail),
                    email: row.email,
                }
            })
            .collect(),
        dry_run,
    }
}

impl From<Listed> for Enrollment {
    fn from(listed: Listed) -> Self {
        let Stored {
            id,
            user_id,
            course_id,
            status,
            version,
            enrolled_at,
            updated_at,
            section_id,
            expires_at,
        } = listed.enrollment;
        let (section_name, term) = listed.section.unwrap_or_default();
        Self {
            section_id: section_id.map(Into::into).unwrap_or_default(),
            section_name,
            term,
            expires_at: expires_at.map(timestamp),
            id: id.into(),
            user_id: user_id.into(),
            course_id: course_id.into(),
            status: status.to_string(),
            enrolled_at: Some(timestamp(enrolled_at)),
            updated_at: Some(timestamp(updated_at)),
            course_title: listed.course_title.unwrap_or_default(),
            full_name: listed.full_name.unwrap_or_default(),
            version,
        }
    }
}

impl From<Enrolled> for Enrollment {
    fn from(done: Enrolled) -> Self {
        Listed {
            enrollment: done.enrollment,
            course_title: Some(done.course_title),
            full_name: None,
            section: done.section,
        }
        .into()
    }
}

impl From<Page> for ListEnrollmentsResponse {
    fn from(page: Page) -> Self {
        Self {
            enrollments: page.enrollments.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }
    }
}

impl From<Stored> for EnrollmentState {
    fn from(stored: Stored) -> Self {
        Self {
            enrollment_id: stored.id.into(),
            version: stored.version,
            user_id: stored.user_id.into(),
            course_id: stored.course_id.into(),
            status: stored.status.to_string(),
        }
    }
}
