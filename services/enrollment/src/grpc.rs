//! A shell over the use cases: parse, call, convert.

mod convert;

use std::sync::Arc;

use contracts::Empty;
use contracts::enrollment::v1::enrollment_service_server::EnrollmentService;
use contracts::enrollment::v1::{
    CreateEnrollmentRequest, DropRequest, EnrollRequest, Enrollment, EnrollmentState, GetEnrollmentRequest,
    GetEnrollmentStateRequest, ImportEnrollmentsRequest, ImportEnrollmentsResponse,
    ListCourseEnrollmentsRequest, ListEnrollmentsResponse, ListMyEnrollmentsRequest, UpdateEnrollmentRequest,
};
use service_runtime::grpc::{admit, with_http_status};
use tonic::{Request, Response, Status};

use crate::app::Enrollment as App;
use crate::usecases::change_status::change_status;
use crate::usecases::create_enrollment::create_enrollment;
use crate::usecases::drop_course::drop_course;
use crate::usecases::enroll::enroll;
use crate::usecases::get_enrollment::{get_enrollment, get_state};
use crate::usecases::import_enrollments::import_enrollments;
use crate::usecases::list_mine::list_mine;
use crate::usecases::list_roster::list_roster;
use crate::usecases::take_seats::Enrolled;
use convert::{id, import_report, paging, source, status, status_filter};

pub struct EnrollmentGrpc {
    app: Arc<App>,
}

impl EnrollmentGrpc {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

/// 201 by policy; 200 when the student was enrolled already.
fn enrolled(done: Enrolled) -> Response<Enrollment> {
    let is_new = done.is_new;
    let response = Response::new(done.into());
    if is_new {
        response
    } else {
        with_http_status(response, 200)
    }
}

#[tonic::async_trait]
impl EnrollmentService for EnrollmentGrpc {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<Enrollment>, Status> {
        let (caller, req) = admit(request)?;
        Ok(enrolled(
            enroll(&self.app, &caller, id("course_id", &req.course_id)?).await?,
        ))
    }

    async fn drop(&self, request: Request<DropRequest>) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        drop_course(&self.app, &caller, id("course_id", &req.course_id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_my_enrollments(
        &self,
        request: Request<ListMyEnrollmentsRequest>,
    ) -> Result<Response<ListEnrollmentsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let filter = status_filter(req.status.as_deref())?;
        let page = list_mine(&self.app, &caller, filter, paging(req.page_size, req.page_token)).await?;
        Ok(Response::new(page.into()))
    }

    async fn list_course_enrollments(
        &self,
        request: Request<ListCourseEnrollmentsRequest>,
    ) -> Result<Response<ListEnrollmentsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        let filter = status_filter(req.status.as_deref())?;
        let paging = paging(req.page_size, req.page_token);
        let page = list_roster(&self.app, &caller, course, filter, paging).await?;
        Ok(Response::new(page.into()))
    }

    async fn create_enrollment(
        &self,
        request: Request<CreateEnrollmentRequest>,
    ) -> Result<Response<Enrollment>, Status> {
        let (caller, req) = admit(request)?;
        let (course, student) = (id("course_id", &req.course_id)?, id("user_id", &req.user_id)?);
        Ok(enrolled(
            create_enrollment(&self.app, &caller, course, student).await?,
        ))
    }

    async fn import_enrollments(
        &self,
        request: Request<ImportEnrollmentsRequest>,
    ) -> Result<Response<ImportEnrollmentsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, dry_run) = (id("course_id", &req.course_id)?, req.dry_run);
        let rows = import_enrollments(&self.app, &caller, course, source(req)?).await?;
        Ok(Response::new(import_report(rows, dry_run)))
    }

    async fn get_enrollment(
        &self,
        request: Request<GetEnrollmentRequest>,
    ) -> Result<Response<Enrollment>, Status> {
        let (caller, req) = admit(request)?;
        let found = get_enrollment(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(found.into()))
    }

    async fn update_enrollment(
        &self,
        request: Request<UpdateEnrollmentRequest>,
    ) -> Result<Response<Enrollment>, Status> {
        let (caller, req) = admit(request)?;
        let changed = change_status(&self.app, &caller, id("id", &req.id)?, status(&req.status)?).await?;
        Ok(Response::new(changed.into()))
    }

    async fn get_enrollment_state(
        &self,
        request: Request<GetEnrollmentStateRequest>,
    ) -> Result<Response<EnrollmentState>, Status> {
        let (_, req) = admit(request)?;
        let found = get_state(
            &self.app,
            id("user_id", &req.user_id)?,
            id("course_id", &req.course_id)?,
        )
        .await?;
        Ok(Response::new(found.into()))
    }
}
