//! A shell over the use cases: parse, call, convert.

mod convert;

use std::sync::Arc;

use contracts::auth::v1::Operation;
use contracts::files::v1::File;
use contracts::operations::v1::held_operation_service_server::HeldOperationService;
use contracts::operations::v1::{GetHeldOperationRequest, GetHeldOperationResultRequest};
use contracts::reporting::v1::reporting_service_server::ReportingService;
use contracts::reporting::v1::{
    CourseStatistics, CreateReportRequest, DailyStatistics, GetCourseStatisticsRequest,
    GetDailyStatisticsRequest, ListActivityRequest, ListActivityResponse, ListCourseActivityRequest,
    ListMyActivityRequest,
};
use problem::Problem;
use service_runtime::grpc::admit;
use spreadsheet::Format;
use tonic::{Request, Response, Status};

use crate::app::Reporting;
use crate::storage::activity::Filter;
use crate::usecases::create_report::create_report;
use crate::usecases::{get_statistics, held_operation, list_activity};
use convert::{id, moment, optional_id, paging};

pub struct ReportingGrpc {
    app: Arc<Reporting>,
}

impl ReportingGrpc {
    pub fn new(app: Arc<Reporting>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl ReportingService for ReportingGrpc {
    async fn list_activity(
        &self,
        request: Request<ListActivityRequest>,
    ) -> Result<Response<ListActivityResponse>, Status> {
        let (_, req) = admit(request)?;
        let filter = Filter {
            user: optional_id("user_id", req.user_id.as_deref())?,
            course: optional_id("course_id", req.course_id.as_deref())?,
            kind: req.kind,
            from: moment("from", req.from.as_deref())?,
            to: moment("to", req.to.as_deref())?,
            without_grades: false,
        };
        let page = list_activity::list(&self.app, filter, paging(req.page_size, req.page_token)).await?;
        Ok(Response::new(page.into()))
    }

    async fn list_course_activity(
        &self,
        request: Request<ListCourseActivityRequest>,
    ) -> Result<Response<ListActivityResponse>, Status> {
        let (caller, req) = admit(request)?;
        let filter = Filter {
            user: optional_id("user_id", req.user_id.as_deref())?,
            kind: req.kind,
            from: moment("from", req.from.as_deref())?,
            to: moment("to", req.to.as_deref())?,
            ..Filter::default()
        };
        let (course, paging) = (
            id("course_id", &req.course_id)?,
            paging(req.page_size, req.page_token),
        );
        let page = list_activity::of_course(&self.app, &caller, course, filter, paging).await?;
        Ok(Response::new(page.into()))
    }

    async fn list_my_activity(
        &self,
        request: Request<ListMyActivityRequest>,
    ) -> Result<Response<ListActivityResponse>, Status> {
        let (caller, req) = admit(request)?;
        let filter = Filter {
            kind: req.kind,
            from: moment("from", req.from.as_deref())?,
            to: moment("to", req.to.as_deref())?,
            ..Filter::default()
        };
        let paging = paging(req.page_size, req.page_token);
        let page = list_activity::of_caller(&self.app, &caller, filter, paging).await?;
        Ok(Response::new(page.into()))
    }

    async fn get_daily_statistics(
        &self,
        request: Request<GetDailyStatisticsRequest>,
    ) -> Result<Response<DailyStatistics>, Status> {
        let (_, req) = admit(request)?;
        let found = get_statistics::daily(&self.app, req.date.as_deref()).await?;
        Ok(Response::new(found))
    }

    async fn get_course_statistics(
        &self,
        request: Request<GetCourseStatisticsRequest>,
    ) -> Result<Response<CourseStatistics>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        let (from, to) = (req.from.as_deref(), req.to.as_deref());
        let found = get_statistics::of_course(&self.app, &caller, course, from, to).await?;
        Ok(Response::new(found))
    }

    async fn create_report(
        &self,
        request: Request<CreateReportRequest>,
    ) -> Result<Response<Operation>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        let kind = req.kind.parse();
        let kind = kind.map_err(|_| Problem::invalid_field("kind", "string.in", "is no kind of a report"))?;
        let format = req.format.as_deref().map_or(Ok(Format::Csv), str::parse);
        let format = format.map_err(|_| Problem::invalid_field("format", "string.in", "is no format"))?;
        let begun = create_report(&self.app, &caller, course, kind, format).await?;
        Ok(Response::new(begun.into()))
    }
}

/// What auth asks for the caller.
pub struct HeldOperationGrpc {
    app: Arc<Reporting>,
}

impl HeldOperationGrpc {
    pub fn new(app: Arc<Reporting>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl HeldOperationService for HeldOperationGrpc {
    async fn get_held_operation(
        &self,
        request: Request<GetHeldOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        let (_, req) = admit(request)?;
        let (operation, user) = (id("id", &req.id)?, id("user_id", &req.user_id)?);
        let found = held_operation::get(&self.app, operation, user).await?;
        Ok(Response::new(found.into()))
    }

    async fn get_held_operation_result(
        &self,
        request: Request<GetHeldOperationResultRequest>,
    ) -> Result<Response<File>, Status> {
        let (_, req) = admit(request)?;
        let (operation, user) = (id("id", &req.id)?, id("user_id", &req.user_id)?);
        let part = req.part.unsigned_abs();
        let file = held_operation::result(&self.app, operation, user, part).await?;
        Ok(Response::new(file))
    }
}
