//! Between the contract's messages and attempts, results, statistics.

use contracts::exam::v1 as proto;
use contracts::timestamp;
use problem::Problem;
use serde_json::Value;

use super::convert::id;
use super::questions_of::{accepted_messages, option_messages};
use crate::domain::answer::Answer;
use crate::domain::attempt::{ClosedBy, State};
use crate::domain::draw;
use crate::domain::final_score::Final;
use crate::domain::score::Score;
use crate::storage::accommodation_groups::Group;
use crate::storage::answers::Stored;
use crate::storage::attempts::Attempt;
use crate::storage::audit::Recorded;
use crate::usecases::Page;
use crate::usecases::accommodate::Listed;
use crate::usecases::get_attempt::View;
use crate::usecases::regrade::Regraded;
use crate::usecases::results::{Outcome, Reviewed};
use crate::usecases::save_answer::Saved;
use crate::usecases::statistics::{Analysis, ItemAnalysis};

pub fn answer(req: &proto::SaveAnswerRequest) -> Result<Answer, Problem> {
    let options: Result<Vec<_>, Problem> = req.option_ids.iter().map(|text| id("option_ids", text)).collect();
    Ok(Answer {
        option_ids: options?,
        number: req.number,
        text: req.text.clone(),
    })
}

/// An attempt without questions and answers.
pub fn attempt_outline(attempt: &Attempt, exam_title: &str) -> proto::Attempt {
    proto::Attempt {
        id: attempt.id.into(),
        exam_id: attempt.exam_id.into(),
        user_id: attempt.user_id.into(),
        number: attempt.number,
        state: attempt.state.to_string(),
        started_at: Some(timestamp(attempt.started_at)),
        deadline: attempt.deadline.map(timestamp),
        submitted_at: attempt.submitted_at.map(timestamp),
        exam_title: exam_title.to_owned(),
        ..proto::Attempt::default()
    }
}

/// An attempt as its student sees it: no key.
pub fn attempt_message(view: &View) -> proto::Attempt {
    let attempt = &view.attempt;
    let questions = attempt
        .question_ids
        .iter()
        .filter_map(|id| view.revision.question(*id));
    let questions = questions.map(|question| proto::AttemptQuestion {
        id: question.id.into(),
        r#type: question.content.body.kind().to_owned(),
        text: question.content.text.clone(),
        options: draw::options(&view.revision, question, attempt.seed)
            .into_iter()
            .map(|option| proto::AttemptOption {
                id: option.id.to_string(),
                text: option.text.clone(),
            })
            .collect(),
        points: question.content.points.points(),
    });
    proto::Attempt {
        questions: questions.collect(),
        answers: view.answers.iter().map(answer_message).collect(),
        server_time: Some(timestamp(view.server_time)),
        ..attempt_outline(attempt, &view.exam.title)
    }
}

pub fn saved_message(question_id: String, saved: Saved) -> proto::SavedAnswer {
    let saved_at = Some(timestamp(saved.saved_at));
    let stored = saved.instead.map(|answer| proto::AttemptAnswer {
        question_id: question_id.clone(),
        sequence: saved.sequence,
        saved_at,
        ..given(&answer)
    });
    proto::SavedAnswer {
        question_id,
        sequence: saved.sequence,
        saved_at,
        stored,
    }
}

fn given(answer: &Answer) -> proto::AttemptAnswer {
    proto::AttemptAnswer {
        option_ids: answer.option_ids.iter().map(ToString::to_string).collect(),
        number: answer.number,
        text: answer.text.clone(),
        ..proto::AttemptAnswer::default()
    }
}

fn answer_message(stored: &Stored) -> proto::AttemptAnswer {
    proto::AttemptAnswer {
        question_id: stored.question_id.into(),
        sequence: stored.sequence,
        saved_at: Some(timestamp(stored.saved_at)),
        ..given(&stored.answer)
    }
}

fn review_message(reviewed: Reviewed) -> proto::QuestionResult {
    let Reviewed {
        question,
        answer,
        grade,
    } = reviewed;
    let answer = answer.map(|stored| stored.answer).unwrap_or_default();
    let body = &question.content.body;
    proto::QuestionResult {
        question_id: question.id.into(),
        r#type: body.kind().to_owned(),
        score: grade.as_ref().and_then(|grade| grade.score).map(Score::points),
        max_score: grade
            .as_ref()
            .map_or(question.content.points, |grade| grade.max_score)
            .points(),
        option_ids: answer.option_ids.iter().map(ToString::to_string).collect(),
        number: answer.number,
        answer_text: answer.text,
        options: option_messages(body),
        accepted: accepted_messages(body),
        is_manual: grade.as_ref().is_some_and(|grade| grade.is_manual),
        comment: grade.map(|grade| grade.comment).unwrap_or_default(),
        text: question.content.text,
        feedback: question.content.feedback,
    }
}

impl From<Outcome> for proto::AttemptResult {
    fn from(outcome: Outcome) -> Self {
        let score = outcome.visible_score();
        let attempt = &outcome.attempt;
        Self {
            attempt_id: attempt.id.into(),
            exam_id: attempt.exam_id.into(),
            exam_title: outcome.exam_title,
            user_id: attempt.user_id.into(),
            full_name: outcome.full_name.unwrap_or_default(),
            number: attempt.number,
            state: attempt.state.to_string(),
            started_at: Some(timestamp(attempt.started_at)),
            submitted_at: attempt.submitted_at.map(timestamp),
            submitted_by: attempt.submitted_by.map_or("", ClosedBy::as_str).to_owned(),
            score: score.map(Score::points),
            max_score: outcome.is_open.then(|| attempt.max_score.points()),
            passed: attempt
                .passed
                .filter(|_| score.is_some() && attempt.state != State::Open),
            receipt: attempt.receipt.as_ref().map(hex::encode).unwrap_or_default(),
            answered: attempt.answered,
            counts: outcome
                .result
                .as_ref()
                .map(|result| result.counting.contains(&attempt.id)),
            final_score: outcome.result.as_ref().map(|result| result.score.points()),
            final_max_score: outcome.result.as_ref().map(|result| result.max_score.points()),
            final_percent: outcome.result.as_ref().and_then(Final::percent).map(rounded),
            final_passed: outcome.result.as_ref().map(|result| result.passed),
            questions: outcome.questions.into_iter().map(review_message).collect(),
        }
    }
}

/// A student's results, and once for each exam what counts.
pub fn my_result_list(page: Page<Outcome>) -> proto::ListMyResultsResponse {
    let mut finals: Vec<proto::FinalResult> = Vec::new();
    for outcome in &page.items {
        let exam_id = outcome.attempt.exam_id.to_string();
        if let Some(result) = &outcome.result
            && finals.iter().all(|known| known.exam_id != exam_id)
        {
            finals.push(proto::FinalResult {
                exam_id,
                exam_title: outcome.exam_title.clone(),
                attempt_scoring: outcome.attempt_scoring.clone(),
                final_score: result.score.points(),
                final_max_score: result.max_score.points(),
                final_percent: result.percent().map(rounded),
                final_passed: result.passed,
                attempt_ids: result.counting.iter().map(ToString::to_string).collect(),
            });
        }
    }
    proto::ListMyResultsResponse {
        results: page.items.into_iter().map(Into::into).collect(),
        next_page_token: page.next_page_token,
        finals,
    }
}

pub fn result_list(page: Page<Outcome>) -> proto::ListResultsResponse {
    proto::ListResultsResponse {
        results: page.items.into_iter().map(Into::into).collect(),
        next_page_token: page.next_page_token,
    }
}

fn count(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Four decimals.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

pub fn statistics_message(exam_id: String, analysis: Analysis) -> proto::Statistics {
    let summary = analysis.summary;
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    proto::Statistics {
        exam_id,
        attempts: number(analysis.attempts),
        students: number(summary.students),
        mean_percent: rounded(summary.mean_percent.unwrap_or_default()),
        median_percent: rounded(summary.median_percent.unwrap_or_default()),
        pass_rate: rounded(summary.pass_rate.unwrap_or_default()),
        questions: analysis.items.into_iter().map(item_message).collect(),
    }
}

fn item_message(analysis: ItemAnalysis) -> proto::QuestionStatistics {
    let ItemAnalysis {
        question,
        item,
        chosen,
    } = analysis;
    let all = item.attempts.max(1) as f64;
    let options = question.content.body.options().iter().map(|option| {
        let chosen = chosen.get(&option.id).copied().unwrap_or_default();
        proto::OptionStatistics {
            option_id: option.id.to_string(),
            text: option.text.clone(),
            correct: option.credit > 0,
            chosen: count(chosen),
            share: rounded(chosen as f64 / all),
        }
    });
    proto::QuestionStatistics {
        options: options.collect(),
        question_id: question.id.into(),
        r#type: question.content.body.kind().to_owned(),
        attempts: count(item.attempts),
        facility: rounded(item.facility.unwrap_or_default()),
        discrimination: item.discrimination.map(rounded),
        text: question.content.text,
    }
}

pub fn accommodation_list(exam_id: &str, page: Page<Listed>) -> proto::ListAccommodationsResponse {
    let accommodations = page.items.into_iter().map(|one| proto::Accommodation {
        exam_id: exam_id.to_owned(),
        user_id: one.user_id.into(),
        full_name: one.full_name,
        extra_seconds: one.accommodation.extra_seconds,
        extra_percent: one.accommodation.extra_percent,
    });
    proto::ListAccommodationsResponse {
        accommodations: accommodations.collect(),
        next_page_token: page.next_page_token,
    }
}

pub fn group_message(exam_id: &str, group: Group) -> proto::AccommodationGroup {
    proto::AccommodationGroup {
        exam_id: exam_id.to_owned(),
        name: group.name,
        extra_seconds: group.accommodation.extra_seconds,
        extra_percent: group.accommodation.extra_percent,
        user_ids: group.user_ids.into_iter().map(Into::into).collect(),
    }
}

fn audit_message(exam_id: &str, entry: Recorded) -> proto::ExamAuditEntry {
    let named = |name: &str| entry.detail.get(name).and_then(Value::as_str);
    let (kind, target) = match (entry.attempt_id, named("user_id"), named("group")) {
        (Some(attempt), ..) => ("attempt", attempt.to_string()),
        (_, Some(user), _) => ("user", user.to_owned()),
        (_, _, Some(group)) => ("accommodation_group", group.to_owned()),
        _ => ("exam", exam_id.to_owned()),
    };
    proto::ExamAuditEntry {
        id: entry.id.to_string(),
        at: Some(timestamp(entry.at)),
        actor_id: entry.actor_id.to_string(),
        target_kind: kind.to_owned(),
        target_id: target,
        details: entry.detail.to_string(),
        actor_name: entry.actor_name.unwrap_or_default(),
        action: entry.action,
    }
}

pub fn audit_list(exam_id: &str, page: Page<Recorded>) -> proto::ListExamAuditResponse {
    let entries = page.items.into_iter().map(|entry| audit_message(exam_id, entry));
    proto::ListExamAuditResponse {
        entries: entries.collect(),
        next_page_token: page.next_page_token,
    }
}

pub fn regrade_message(done: Regraded, dry_run: bool) -> proto::RegradeResponse {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let points = |score: Option<Score>| score.unwrap_or_default().points();
    proto::RegradeResponse {
        dry_run,
        attempts: number(done.attempts),
        changed: number(done.changed),
        changes: done
            .changes
            .into_iter()
            .map(|change| proto::RegradeChange {
                attempt_id: change.attempt_id.into(),
                user_id: change.user_id.into(),
                old_score: points(change.old.0),
                new_score: points(change.new.0),
                old_passed: change.old.1.unwrap_or_default(),
                new_passed: change.new.1.unwrap_or_default(),
            })
            .collect(),
    }
}
