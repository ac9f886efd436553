//! A shell over the use cases: parse, call, convert.

mod attempts;
mod convert;
mod questions_of;

use std::sync::Arc;

use contracts::Empty;
use contracts::exam::v1::exam_service_server::ExamService;
use contracts::exam::v1::{
    Accommodation, AccommodationGroup, Attempt, AttemptResult, CreateBankQuestionRequest, CreateExamRequest,
    CreateQuestionRequest, DeleteAccommodationGroupRequest, DeleteExamRequest, DeleteQuestionRequest, Exam,
    ExportQuestionsRequest, ExportResultsRequest, GetAttemptRequest, GetExamRequest, GetQuestionRequest,
    GetResultRequest, GetStatisticsRequest, GradeAnswerRequest, ImportQuestionsRequest,
    ImportQuestionsResponse, ListAccommodationGroupsRequest, ListAccommodationGroupsResponse,
    ListAccommodationsRequest, ListAccommodationsResponse, ListBankQuestionsRequest, ListExamAuditRequest,
    ListExamAuditResponse, ListExamsRequest, ListExamsResponse, ListMyAttemptsRequest,
    ListMyAttemptsResponse, ListMyResultsRequest, ListMyResultsResponse, ListQuestionVersionsRequest,
    ListQuestionVersionsResponse, ListQuestionsRequest, ListQuestionsResponse, ListResultsRequest,
    ListResultsResponse, PublishExamRequest, PutAccommodationGroupRequest, PutAccommodationRequest, Question,
    RegradeRequest, RegradeResponse, SaveAnswerRequest, SavedAnswer, StartAttemptRequest, Statistics,
    SubmitAttemptRequest, UpdateExamRequest, UpdateQuestionRequest,
};
use contracts::files::v1::File;
use service_runtime::grpc::{admit, with_http_status};
use tonic::{Request, Response, Status};

use crate::app::Exams;
use crate::domain::deadline;
use crate::storage::accommodation_groups::Group;
use crate::usecases::export_results::export_results;
use crate::usecases::get_attempt::view;
use crate::usecases::grade_answer::grade_answer;
use crate::usecases::import_questions::{export_questions, import_questions};
use crate::usecases::list_audit::list_audit;
use crate::usecases::publish_exam::publish_exam;
use crate::usecases::questions::Place;
use crate::usecases::regrade::regrade;
use crate::usecases::save_answer::save_answer;
use crate::usecases::start_attempt::start_attempt;
use crate::usecases::statistics::statistics;
use crate::usecases::submit_attempt::submit_attempt;
use crate::usecases::{accommodate, accommodate_group, exams, get_attempt, questions, results};
use attempts::{
    accommodation_list, answer, attempt_message, attempt_outline, audit_list, group_message, my_result_list,
    regrade_message, result_list, saved_message, statistics_message,
};
use convert::{changes_of_create, changes_of_update, exam_list, exam_message, format, id, paging, points};
use questions_of::{Draft, import_report, question_list, source, version_list};

pub struct ExamGrpc {
    app: Arc<Exams>,
}

impl ExamGrpc {
    pub fn new(app: Arc<Exams>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl ExamService for ExamGrpc {
    async fn create_exam(&self, request: Request<CreateExamRequest>) -> Result<Response<Exam>, Status> {
        let (caller, req) = admit(request)?;
        let changes = changes_of_create(&req)?;
        let exam = exams::create(&self.app, &caller, id("course_id", &req.course_id)?, changes).await?;
        Ok(Response::new(exam_message(exam, true)))
    }

    async fn list_exams(
        &self,
        request: Request<ListExamsRequest>,
    ) -> Result<Response<ListExamsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let (page, is_staff) =
            exams::list(&self.app, &caller, id("course_id", &req.course_id)?, paging).await?;
        Ok(Response::new(exam_list(page, is_staff)))
    }

    async fn get_exam(&self, request: Request<GetExamRequest>) -> Result<Response<Exam>, Status> {
        let (caller, req) = admit(request)?;
        let (exam, is_staff) = exams::get(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(exam_message(exam, is_staff)))
    }

    async fn update_exam(&self, request: Request<UpdateExamRequest>) -> Result<Response<Exam>, Status> {
        let (caller, req) = admit(request)?;
        let changes = changes_of_update(&req)?;
        let exam = exams::update(&self.app, &caller, id("id", &req.id)?, changes).await?;
        Ok(Response::new(exam_message(exam, true)))
    }

    async fn delete_exam(&self, request: Request<DeleteExamRequest>) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        exams::archive(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn publish_exam(&self, request: Request<PublishExamRequest>) -> Result<Response<Exam>, Status> {
        let (caller, req) = admit(request)?;
        let exam = publish_exam(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(exam_message(exam, true)))
    }

    async fn create_question(
        &self,
        request: Request<CreateQuestionRequest>,
    ) -> Result<Response<Question>, Status> {
        let (caller, req) = admit(request)?;
        let place = Place::Exam(id("exam_id", &req.exam_id)?);
        let order = req.order_index;
        let content = Draft::from(req).content(self.app.clock.now())?;
        let made = questions::create(&self.app, &caller, place, order, content).await?;
        Ok(Response::new(made.into()))
    }

    async fn list_questions(
        &self,
        request: Request<ListQuestionsRequest>,
    ) -> Result<Response<ListQuestionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let page = questions::of_exam(&self.app, &caller, id("exam_id", &req.exam_id)?, paging).await?;
        Ok(Response::new(question_list(page)))
    }

    async fn create_bank_question(
        &self,
        request: Request<CreateBankQuestionRequest>,
    ) -> Result<Response<Question>, Status> {
        let (caller, req) = admit(request)?;
        let place = Place::Bank(id("course_id", &req.course_id)?);
        let order = req.order_index;
        let content = Draft::from(req).content(self.app.clock.now())?;
        let made = questions::create(&self.app, &caller, place, order, content).await?;
        Ok(Response::new(made.into()))
    }

    async fn list_bank_questions(
        &self,
        request: Request<ListBankQuestionsRequest>,
    ) -> Result<Response<ListQuestionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, paging) = (
            id("course_id", &req.course_id)?,
            paging(req.page_size, req.page_token),
        );
        let page = questions::of_bank(&self.app, &caller, course, req.tag.as_deref(), paging).await?;
        Ok(Response::new(question_list(page)))
    }

    async fn get_question(&self, request: Request<GetQuestionRequest>) -> Result<Response<Question>, Status> {
        let (caller, req) = admit(request)?;
        let found = questions::get(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(found.into()))
    }

    async fn list_question_versions(
        &self,
        request: Request<ListQuestionVersionsRequest>,
    ) -> Result<Response<ListQuestionVersionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let page = questions::versions(&self.app, &caller, id("id", &req.id)?, paging).await?;
        Ok(Response::new(version_list(page)))
    }

    async fn update_question(
        &self,
        request: Request<UpdateQuestionRequest>,
    ) -> Result<Response<Question>, Status> {
        let (caller, req) = admit(request)?;
        let (question, order, now) = (id("id", &req.id)?, req.order_index, self.app.clock.now());
        let draft = Draft::from(req);
        let edit = move |content| draft.over(content, now);
        let stored = questions::update(&self.app, &caller, question, order, edit).await?;
        Ok(Response::new(stored.into()))
    }

    async fn delete_question(
        &self,
        request: Request<DeleteQuestionRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        questions::delete(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn import_questions(
        &self,
        request: Request<ImportQuestionsRequest>,
    ) -> Result<Response<ImportQuestionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, dry_run) = (id("course_id", &req.course_id)?, req.dry_run);
        let report = import_questions(&self.app, &caller, course, source(req)?).await?;
        Ok(Response::new(import_report(report, dry_run)))
    }

    async fn export_questions(
        &self,
        request: Request<ExportQuestionsRequest>,
    ) -> Result<Response<File>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        Ok(Response::new(
            export_questions(&self.app, &caller, course, req.tag.as_deref()).await?,
        ))
    }

    async fn start_attempt(
        &self,
        request: Request<StartAttemptRequest>,
    ) -> Result<Response<Attempt>, Status> {
        let (caller, req) = admit(request)?;
        let started = start_attempt(&self.app, &caller, id("exam_id", &req.exam_id)?).await?;
        let is_new = started.is_new;
        let response = Response::new(attempt_message(&view(&self.app, started.attempt).await?));
        Ok(if is_new {
            response
        } else {
            with_http_status(response, 200)
        })
    }

    async fn list_my_attempts(
        &self,
        request: Request<ListMyAttemptsRequest>,
    ) -> Result<Response<ListMyAttemptsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let (exam, page) =
            get_attempt::list_mine(&self.app, &caller, id("exam_id", &req.exam_id)?, paging).await?;
        let attempts = page.items.iter();
        let attempts = attempts.map(|attempt| attempt_outline(attempt, &exam.title));
        Ok(Response::new(ListMyAttemptsResponse {
            attempts: attempts.collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_attempt(&self, request: Request<GetAttemptRequest>) -> Result<Response<Attempt>, Status> {
        let (caller, req) = admit(request)?;
        let found = get_attempt::get_attempt(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(attempt_message(&found)))
    }

    async fn save_answer(
        &self,
        request: Request<SaveAnswerRequest>,
    ) -> Result<Response<SavedAnswer>, Status> {
        let (caller, req) = admit(request)?;
        let (attempt, question) = (
            id("attempt_id", &req.attempt_id)?,
            id("question_id", &req.question_id)?,
        );
        let (sequence, answer) = (req.sequence.unwrap_or_default(), answer(&req)?);
        let saved = save_answer(&self.app, &caller, attempt, question, sequence, answer).await?;
        Ok(Response::new(saved_message(req.question_id, saved)))
    }

    async fn submit_attempt(
        &self,
        request: Request<SubmitAttemptRequest>,
    ) -> Result<Response<AttemptResult>, Status> {
        let (caller, req) = admit(request)?;
        let attempt = submit_attempt(&self.app, &caller, id("id", &req.id)?).await?;
        let outcome = results::outcome(&self.app, attempt, false).await?;
        Ok(Response::new(outcome.into()))
    }

    async fn get_result(
        &self,
        request: Request<GetResultRequest>,
    ) -> Result<Response<AttemptResult>, Status> {
        let (caller, req) = admit(request)?;
        let outcome = results::get_result(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(outcome.into()))
    }

    async fn list_my_results(
        &self,
        request: Request<ListMyResultsRequest>,
    ) -> Result<Response<ListMyResultsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let page = results::list_mine(&self.app, &caller, paging(req.page_size, req.page_token)).await?;
        Ok(Response::new(my_result_list(page)))
    }

    async fn list_results(
        &self,
        request: Request<ListResultsRequest>,
    ) -> Result<Response<ListResultsResponse>, Status> {
        let (caller, req) = admit(request)?;
        // The contract's rule has admitted states alone.
        let state = req.state.as_deref().and_then(|state| state.parse().ok());
        let (exam, paging) = (
            id("exam_id", &req.exam_id)?,
            paging(req.page_size, req.page_token),
        );
        let page = results::list_of_exam(&self.app, &caller, exam, state, paging).await?;
        Ok(Response::new(result_list(page)))
    }

    async fn export_results(&self, request: Request<ExportResultsRequest>) -> Result<Response<File>, Status> {
        let (caller, req) = admit(request)?;
        let (exam, format) = (id("exam_id", &req.exam_id)?, format(req.format.as_deref()));
        Ok(Response::new(
            export_results(&self.app, &caller, exam, format).await?,
        ))
    }

    async fn get_statistics(
        &self,
        request: Request<GetStatisticsRequest>,
    ) -> Result<Response<Statistics>, Status> {
        let (caller, req) = admit(request)?;
        let analysis = statistics(&self.app, &caller, id("exam_id", &req.exam_id)?).await?;
        Ok(Response::new(statistics_message(req.exam_id, analysis)))
    }

    async fn put_accommodation(
        &self,
        request: Request<PutAccommodationRequest>,
    ) -> Result<Response<Accommodation>, Status> {
        let (caller, req) = admit(request)?;
        let (exam, user) = (id("exam_id", &req.exam_id)?, id("user_id", &req.user_id)?);
        let more = deadline::Accommodation {
            extra_seconds: req.extra_seconds,
            extra_percent: req.extra_percent,
        };
        accommodate::put(&self.app, &caller, exam, user, more).await?;
        Ok(Response::new(Accommodation {
            exam_id: req.exam_id,
            user_id: req.user_id,
            full_name: String::new(),
            extra_seconds: req.extra_seconds,
            extra_percent: req.extra_percent,
        }))
    }

    async fn list_accommodations(
        &self,
        request: Request<ListAccommodationsRequest>,
    ) -> Result<Response<ListAccommodationsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let page = accommodate::list(&self.app, &caller, id("exam_id", &req.exam_id)?, paging).await?;
        Ok(Response::new(accommodation_list(&req.exam_id, page)))
    }

    async fn put_accommodation_group(
        &self,
        request: Request<PutAccommodationGroupRequest>,
    ) -> Result<Response<AccommodationGroup>, Status> {
        let (caller, req) = admit(request)?;
        let exam = id("exam_id", &req.exam_id)?;
        let users = req.user_ids.iter().map(|user| id("user_ids", user));
        let group = Group {
            name: req.name,
            accommodation: deadline::Accommodation {
                extra_seconds: req.extra_seconds,
                extra_percent: req.extra_percent,
            },
            user_ids: users.collect::<Result<_, _>>()?,
        };
        accommodate_group::put(&self.app, &caller, exam, group.clone()).await?;
        Ok(Response::new(group_message(&req.exam_id, group)))
    }

    async fn list_accommodation_groups(
        &self,
        request: Request<ListAccommodationGroupsRequest>,
    ) -> Result<Response<ListAccommodationGroupsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let page = accommodate_group::list(&self.app, &caller, id("exam_id", &req.exam_id)?, paging).await?;
        let groups = page.items.into_iter();
        let groups = groups.map(|group| group_message(&req.exam_id, group));
        Ok(Response::new(ListAccommodationGroupsResponse {
            groups: groups.collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_accommodation_group(
        &self,
        request: Request<DeleteAccommodationGroupRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        accommodate_group::delete(&self.app, &caller, id("exam_id", &req.exam_id)?, req.name).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_exam_audit(
        &self,
        request: Request<ListExamAuditRequest>,
    ) -> Result<Response<ListExamAuditResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token);
        let page = list_audit(&self.app, &caller, id("exam_id", &req.exam_id)?, paging).await?;
        Ok(Response::new(audit_list(&req.exam_id, page)))
    }

    async fn grade_answer(
        &self,
        request: Request<GradeAnswerRequest>,
    ) -> Result<Response<AttemptResult>, Status> {
        let (caller, req) = admit(request)?;
        let (attempt, question) = (
            id("attempt_id", &req.attempt_id)?,
            id("question_id", &req.question_id)?,
        );
        let score = points("score", req.score.unwrap_or_default())?;
        let graded = grade_answer(&self.app, &caller, attempt, question, score, req.comment).await?;
        Ok(Response::new(
            results::outcome(&self.app, graded, true).await?.into(),
        ))
    }

    async fn regrade(&self, request: Request<RegradeRequest>) -> Result<Response<RegradeResponse>, Status> {
        let (caller, req) = admit(request)?;
        let done = regrade(&self.app, &caller, id("exam_id", &req.exam_id)?, req.dry_run).await?;
        Ok(Response::new(regrade_message(done, req.dry_run)))
    }
}
