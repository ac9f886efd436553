//! A shell over the use cases: parse, call, convert.

mod convert;

use std::sync::Arc;

use contracts::video_progress::v1::video_progress_service_server::VideoProgressService;
use contracts::video_progress::v1::{
    CourseProgress, Embed, GetCourseProgressRequest, GetEmbedRequest, GetVideoProgressRequest,
    ListMyProgressRequest, ListMyProgressResponse, ListStudentProgressRequest, ListStudentProgressResponse,
    ReportProgressRequest, VideoProgress,
};
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};

use crate::app::VideoProgress as App;
use crate::usecases::course_progress::{of_caller, of_course, of_students};
use crate::usecases::get_embed::get_embed;
use crate::usecases::report_progress::{report_progress, status};
use convert::{course, course_list, id, report, student_list};

pub struct VideoProgressGrpc {
    app: Arc<App>,
}

impl VideoProgressGrpc {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl VideoProgressService for VideoProgressGrpc {
    async fn get_embed(&self, request: Request<GetEmbedRequest>) -> Result<Response<Embed>, Status> {
        let (caller, req) = admit(request)?;
        let embed_url = get_embed(&self.app, &caller, id("video_id", &req.video_id)?).await?;
        Ok(Response::new(Embed {
            video_id: req.video_id,
            embed_url,
            can_access: true,
        }))
    }

    async fn report_progress(
        &self,
        request: Request<ReportProgressRequest>,
    ) -> Result<Response<VideoProgress>, Status> {
        let (caller, req) = admit(request)?;
        let video = id("video_id", &req.video_id)?;
        let stored = report_progress(&self.app, &caller, video, report(req)).await?;
        Ok(Response::new(stored.into()))
    }

    async fn get_video_progress(
        &self,
        request: Request<GetVideoProgressRequest>,
    ) -> Result<Response<VideoProgress>, Status> {
        let (caller, req) = admit(request)?;
        let found = status(&self.app, &caller, id("video_id", &req.video_id)?).await?;
        Ok(Response::new(found.into()))
    }

    async fn get_course_progress(
        &self,
        request: Request<GetCourseProgressRequest>,
    ) -> Result<Response<CourseProgress>, Status> {
        let (caller, req) = admit(request)?;
        let found = of_course(&self.app, &caller, id("course_id", &req.course_id)?).await?;
        Ok(Response::new(course(found, true)))
    }

    async fn list_my_progress(
        &self,
        request: Request<ListMyProgressRequest>,
    ) -> Result<Response<ListMyProgressResponse>, Status> {
        let (caller, req) = admit(request)?;
        let size = postgres::page_size(req.page_size);
        let page = of_caller(&self.app, &caller, size, req.page_token.as_deref()).await?;
        Ok(Response::new(course_list(page)))
    }

    async fn list_student_progress(
        &self,
        request: Request<ListStudentProgressRequest>,
    ) -> Result<Response<ListStudentProgressResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, size) = (
            id("course_id", &req.course_id)?,
            postgres::page_size(req.page_size),
        );
        let page = of_students(&self.app, &caller, course, size, req.page_token.as_deref()).await?;
        Ok(Response::new(student_list(page)))
    }
}
