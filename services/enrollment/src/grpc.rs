//! A shell over the use cases: parse, call, convert.

mod convert;

use std::sync::Arc;

use contracts::Empty;
use contracts::enrollment::v1::enrollment_service_server::EnrollmentService;
use contracts::enrollment::v1::{
    CreateEnrollmentRequest, CreateSectionRequest, DeleteSectionRequest, DropRequest, EnrollRequest,
    Enrollment, EnrollmentState, GetEnrollmentRequest, GetEnrollmentStateRequest, ImportEnrollmentsRequest,
    ImportEnrollmentsResponse, ListCourseEnrollmentsRequest, ListEnrollmentsResponse,
    ListMyEnrollmentsRequest, ListSectionsRequest, ListSectionsResponse, Section, UpdateEnrollmentRequest,
    UpdateSectionRequest,
};
use service_runtime::grpc::{admit, with_http_status};
use tonic::{Request, Response, Status};

use crate::app::Enrollment as App;
use crate::storage::enrollments::RosterFilter;
use crate::usecases::change_status::{Change, change_status};
use crate::usecases::create_enrollment::create_enrollment;
use crate::usecases::drop_course::drop_course;
use crate::usecases::enroll::enroll;
use crate::usecases::get_enrollment::{get_enrollment, get_state};
use crate::usecases::import_enrollments::import_enrollments;
use crate::usecases::list_mine::list_mine;
use crate::usecases::list_roster::list_roster;
use crate::usecases::sections;
use crate::usecases::take_seats::{Enrolled, Wish};
use convert::{
    changes_of_create, changes_of_update, id, import_report, moment, paging, section_id, source,
    status_filter,
};

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
        let course = id("course_id", &req.course_id)?;
        let section = section_id(req.section_id.as_deref())?;
        Ok(enrolled(enroll(&self.app, &caller, course, section).await?))
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
        let filter = RosterFilter {
            status: status_filter(req.status.as_deref())?,
            section: section_id(req.section_id.as_deref())?,
            ..RosterFilter::default()
        };
        let paging = paging(req.page_size, req.page_token);
        let page = list_roster(&self.app, &caller, course, filter, req.q.as_deref(), paging).await?;
        Ok(Response::new(page.into()))
    }

    async fn create_enrollment(
        &self,
        request: Request<CreateEnrollmentRequest>,
    ) -> Result<Response<Enrollment>, Status> {
        let (caller, req) = admit(request)?;
        let (course, student) = (id("course_id", &req.course_id)?, id("user_id", &req.user_id)?);
        let wish = Wish {
            section: section_id(req.section_id.as_deref())?,
            expires_at: moment("expires_at", req.expires_at.as_deref())?.flatten(),
            is_staff: true,
        };
        Ok(enrolled(
            create_enrollment(&self.app, &caller, course, student, wish).await?,
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
        let change = Change {
            status: status_filter(req.status.as_deref())?,
            section: section_id(req.section_id.as_deref())?,
            expires_at: moment("expires_at", req.expires_at.as_deref())?,
        };
        let changed = change_status(&self.app, &caller, id("id", &req.id)?, change).await?;
        Ok(Response::new(changed.into()))
    }

    async fn list_sections(
        &self,
        request: Request<ListSectionsRequest>,
    ) -> Result<Response<ListSectionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        let paging = paging(req.page_size, req.page_token);
        let (found, next_page_token) = sections::list(&self.app, &caller, course, paging).await?;
        Ok(Response::new(ListSectionsResponse {
            sections: found.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn create_section(
        &self,
        request: Request<CreateSectionRequest>,
    ) -> Result<Response<Section>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        let made = sections::create(&self.app, &caller, course, changes_of_create(req)?).await?;
        Ok(Response::new(made.into()))
    }

    async fn update_section(
        &self,
        request: Request<UpdateSectionRequest>,
    ) -> Result<Response<Section>, Status> {
        let (caller, req) = admit(request)?;
        let section = id("id", &req.id)?;
        let changed = sections::update(&self.app, &caller, section, changes_of_update(req)?).await?;
        Ok(Response::new(changed.into()))
    }

    async fn delete_section(
        &self,
        request: Request<DeleteSectionRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        sections::delete(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
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
