//! Between the contract's messages and the use cases' types: ids, exams.

use contracts::exam::v1 as proto;
pub use contracts::fields::id;
use contracts::fields::{self, clearable};
use contracts::timestamp;
use problem::Problem;
use spreadsheet::Format;
use time::OffsetDateTime;

use crate::domain::revision::Draw;
use crate::domain::score::Score;
use crate::storage::exams::Exam;
use crate::usecases::exams::Changes;
use crate::usecases::{Page, Paging};

pub fn paging(size: Option<i32>, token: Option<String>) -> Paging {
    Paging {
        size: postgres::page_size(size),
        token,
    }
}

pub fn points(field: &'static str, points: f64) -> Result<Score, Problem> {
    Score::from_points(points)
        .ok_or_else(|| Problem::invalid_field(field, "number.range", "has to be between 0 and 1000"))
}

pub fn format(text: Option<&str>) -> Format {
    text.and_then(|text| text.parse().ok()).unwrap_or(Format::Csv)
}

/// `None` leaves the field; an empty text clears it.
fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Option<OffsetDateTime>>, Problem> {
    clearable(text, |text| fields::moment(field, text))
}

fn draws(draws: &[proto::Draw]) -> Vec<Draw> {
    draws
        .iter()
        .map(|draw| Draw {
            tag: draw.tag.clone(),
            count: draw.count,
        })
        .collect()
}

macro_rules! changes {
    ($req:expr, $title:expr, $draw:expr) => {
        Ok(Changes {
            title: $title,
            description: $req.description.clone(),
            time_limit_seconds: $req
                .time_limit_seconds
                .map(|seconds| (seconds > 0).then_some(seconds)),
            opens_at: moment("opens_at", $req.opens_at.as_deref())?,
            closes_at: moment("closes_at", $req.closes_at.as_deref())?,
            hard_end: $req.hard_end,
            max_attempts: $req.max_attempts,
            attempt_scoring: $req.attempt_scoring.clone(),
            cooldown_seconds: $req.cooldown_seconds,
            shuffle_questions: $req.shuffle_questions,
            shuffle_options: $req.shuffle_options,
            negative_marking: $req.negative_marking,
            wrongs_per_right: $req.wrongs_per_right,
            pass_percent: $req.pass_percent,
            review_policy: $req.review_policy.clone(),
            draw: $draw,
        })
    };
}

pub fn changes_of_create(req: &proto::CreateExamRequest) -> Result<Changes, Problem> {
    changes!(req, Some(req.title.clone()), Some(draws(&req.draw)))
}

pub fn changes_of_update(req: &proto::UpdateExamRequest) -> Result<Changes, Problem> {
    changes!(
        req,
        req.title.clone(),
        req.draw.as_ref().map(|draw| draws(&draw.items))
    )
}

pub fn exam_message(exam: Exam, is_staff: bool) -> proto::Exam {
    let draw = if is_staff { exam.draw.0 } else { Vec::new() };
    proto::Exam {
        id: exam.id.to_string(),
        course_id: exam.course_id.to_string(),
        title: exam.title,
        description: exam.description,
        state: exam.state,
        time_limit_seconds: exam.time_limit_seconds.unwrap_or_default(),
        opens_at: exam.opens_at.map(timestamp),
        closes_at: exam.closes_at.map(timestamp),
        hard_end: exam.hard_end,
        max_attempts: exam.max_attempts,
        attempt_scoring: exam.attempt_scoring,
        cooldown_seconds: exam.cooldown_seconds,
        shuffle_questions: exam.shuffle_questions,
        shuffle_options: exam.shuffle_options,
        negative_marking: exam.negative_marking,
        wrongs_per_right: exam.wrongs_per_right,
        pass_percent: exam.pass_percent,
        review_policy: exam.review_policy,
        draw: draw
            .into_iter()
            .map(|draw| proto::Draw {
                tag: draw.tag,
                count: draw.count,
            })
            .collect(),
        question_count: exam.question_count,
        revision: exam.revision,
        version: exam.version,
        created_at: Some(timestamp(exam.created_at)),
        updated_at: Some(timestamp(exam.updated_at)),
    }
}

pub fn exam_list(page: Page<Exam>, is_staff: bool) -> proto::ListExamsResponse {
    proto::ListExamsResponse {
        exams: page
            .items
            .into_iter()
            .map(|exam| exam_message(exam, is_staff))
            .collect(),
        next_page_token: page.next_page_token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_left_replaced_or_taken_away() {
        let draw = |draw: Option<Vec<proto::Draw>>| {
            let request = proto::UpdateExamRequest {
                draw: draw.map(|items| proto::DrawList { items }),
                ..proto::UpdateExamRequest::default()
            };
            changes_of_update(&request).unwrap().draw
        };
        let geo = proto::Draw {
            tag: "geo".into(),
            count: 2,
        };
        assert_eq!(draw(None), None);
        assert_eq!(draw(Some(Vec::new())), Some(Vec::new()));
        assert_eq!(draw(Some(vec![geo])).unwrap()[0].tag, "geo");
    }
}
