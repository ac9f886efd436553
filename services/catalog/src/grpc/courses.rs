use std::sync::Arc;

use contracts::Empty;
use contracts::catalog::v1::catalog_service_server::CatalogService;
use contracts::catalog::v1::{
    ArchiveCourseRequest, Category, Course, CourseDetail, CourseState, CreateCategoryRequest,
    CreateCourseRequest, CreateTopicRequest, CreateVideoRequest, DeleteCategoryRequest, DeleteTopicRequest,
    DeleteVideoRequest, GetCategoryRequest, GetCourseRequest, GetCourseStateRequest, GetTopicRequest,
    GetVideoRequest, GetVideoStateRequest, ListCategoriesRequest, ListCategoriesResponse, ListCoursesRequest,
    ListCoursesResponse, ListTopicsRequest, ListTopicsResponse, ListVideoStatesRequest,
    ListVideoStatesResponse, ListVideosRequest, ListVideosResponse, PublishCourseRequest,
    ReorderTopicsRequest, Topic, UnpublishCourseRequest, UpdateCategoryRequest, UpdateCourseRequest,
    UpdateTopicRequest, UpdateVideoRequest, Video, VideoState,
};
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};

use super::convert::{course_changes, id, new_course, new_video, query, topic_list, uuids, video_changes};
use crate::app::Catalog;
use crate::usecases::change_course::{archive_course, set_published, update_course};
use crate::usecases::create_course::create_course;
use crate::usecases::get_course::{get_course, get_state};
use crate::usecases::list_courses::list_courses;
use crate::usecases::{categories, topics, videos};

pub struct CatalogGrpc {
    app: Arc<Catalog>,
}

impl CatalogGrpc {
    pub fn new(app: Arc<Catalog>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl CatalogService for CatalogGrpc {
    async fn list_courses(
        &self,
        request: Request<ListCoursesRequest>,
    ) -> Result<Response<ListCoursesResponse>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            list_courses(&self.app, &caller, query(req)?).await?,
        ))
    }

    async fn get_course(&self, request: Request<GetCourseRequest>) -> Result<Response<CourseDetail>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            get_course(&self.app, &caller, id("id", &req.id)?).await?,
        ))
    }

    async fn create_course(&self, request: Request<CreateCourseRequest>) -> Result<Response<Course>, Status> {
        let (caller, req) = admit(request)?;
        let new = new_course(req, caller.user()?.id, self.app.clock.now())?;
        Ok(Response::new(
            create_course(&self.app, &caller, new).await?.into(),
        ))
    }

    async fn update_course(&self, request: Request<UpdateCourseRequest>) -> Result<Response<Course>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("id", &req.id)?;
        Ok(Response::new(
            update_course(&self.app, &caller, course, course_changes(req)?)
                .await?
                .into(),
        ))
    }

    async fn archive_course(
        &self,
        request: Request<ArchiveCourseRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        archive_course(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn publish_course(
        &self,
        request: Request<PublishCourseRequest>,
    ) -> Result<Response<Course>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            set_published(&self.app, &caller, id("id", &req.id)?, true)
                .await?
                .into(),
        ))
    }

    async fn unpublish_course(
        &self,
        request: Request<UnpublishCourseRequest>,
    ) -> Result<Response<Course>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            set_published(&self.app, &caller, id("id", &req.id)?, false)
                .await?
                .into(),
        ))
    }

    async fn list_topics(
        &self,
        request: Request<ListTopicsRequest>,
    ) -> Result<Response<ListTopicsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, size) = (
            id("course_id", &req.course_id)?,
            postgres::page_size(req.page_size),
        );
        let (topics, next_page_token) =
            topics::list(&self.app, &caller, course, size, req.page_token.as_deref()).await?;
        Ok(Response::new(topic_list(topics, next_page_token)))
    }

    async fn get_topic(&self, request: Request<GetTopicRequest>) -> Result<Response<Topic>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            topics::get(&self.app, &caller, id("id", &req.id)?).await?.into(),
        ))
    }

    async fn create_topic(&self, request: Request<CreateTopicRequest>) -> Result<Response<Topic>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        Ok(Response::new(
            topics::create(&self.app, &caller, course, req.title, req.order_index)
                .await?
                .into(),
        ))
    }

    async fn update_topic(&self, request: Request<UpdateTopicRequest>) -> Result<Response<Topic>, Status> {
        let (caller, req) = admit(request)?;
        let topic = id("id", &req.id)?;
        Ok(Response::new(
            topics::update(&self.app, &caller, topic, req.title, req.order_index)
                .await?
                .into(),
        ))
    }

    async fn delete_topic(&self, request: Request<DeleteTopicRequest>) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        topics::delete(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn reorder_topics(
        &self,
        request: Request<ReorderTopicsRequest>,
    ) -> Result<Response<ListTopicsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let ids = uuids("topic_ids", &req.topic_ids)?;
        let topics = topics::reorder(&self.app, &caller, id("course_id", &req.course_id)?, ids).await?;
        Ok(Response::new(topic_list(topics, String::new())))
    }

    async fn list_videos(
        &self,
        request: Request<ListVideosRequest>,
    ) -> Result<Response<ListVideosResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, size) = (
            id("course_id", &req.course_id)?,
            postgres::page_size(req.page_size),
        );
        let (videos, next_page_token) =
            videos::list(&self.app, &caller, course, size, req.page_token.as_deref()).await?;
        Ok(Response::new(ListVideosResponse {
            videos: videos.into_iter().map(Video::from).collect(),
            next_page_token,
        }))
    }

    async fn get_video(&self, request: Request<GetVideoRequest>) -> Result<Response<Video>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            videos::get(&self.app, &caller, id("id", &req.id)?).await?.into(),
        ))
    }

    async fn create_video(&self, request: Request<CreateVideoRequest>) -> Result<Response<Video>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(
            videos::create(&self.app, &caller, new_video(req, self.app.clock.now())?)
                .await?
                .into(),
        ))
    }

    async fn update_video(&self, request: Request<UpdateVideoRequest>) -> Result<Response<Video>, Status> {
        let (caller, req) = admit(request)?;
        let video = id("id", &req.id)?;
        Ok(Response::new(
            videos::update(&self.app, &caller, video, video_changes(req)?)
                .await?
                .into(),
        ))
    }

    async fn delete_video(&self, request: Request<DeleteVideoRequest>) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        videos::delete(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_categories(
        &self,
        request: Request<ListCategoriesRequest>,
    ) -> Result<Response<ListCategoriesResponse>, Status> {
        let (_, req) = admit(request)?;
        let size = postgres::page_size(req.page_size);
        let (rows, next_page_token) = categories::list(&self.app, size, req.page_token.as_deref()).await?;
        let categories = rows.into_iter().map(Category::from).collect();
        Ok(Response::new(ListCategoriesResponse {
            categories,
            next_page_token,
        }))
    }

    async fn get_category(&self, request: Request<GetCategoryRequest>) -> Result<Response<Category>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(
            categories::get(&self.app, id("id", &req.id)?).await?.into(),
        ))
    }

    async fn create_category(
        &self,
        request: Request<CreateCategoryRequest>,
    ) -> Result<Response<Category>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(
            categories::create(&self.app, req.name).await?.into(),
        ))
    }

    async fn update_category(
        &self,
        request: Request<UpdateCategoryRequest>,
    ) -> Result<Response<Category>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(
            categories::update(&self.app, id("id", &req.id)?, req.name)
                .await?
                .into(),
        ))
    }

    async fn delete_category(
        &self,
        request: Request<DeleteCategoryRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (_, req) = admit(request)?;
        categories::delete(&self.app, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn get_video_state(
        &self,
        request: Request<GetVideoStateRequest>,
    ) -> Result<Response<VideoState>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(
            videos::get_state(&self.app, id("id", &req.id)?).await?.into(),
        ))
    }

    async fn list_video_states(
        &self,
        request: Request<ListVideoStatesRequest>,
    ) -> Result<Response<ListVideoStatesResponse>, Status> {
        let (_, req) = admit(request)?;
        let all = videos::list_states(&self.app, id("course_id", &req.course_id)?).await?;
        Ok(Response::new(ListVideoStatesResponse {
            videos: all.into_iter().map(Into::into).collect(),
        }))
    }

    async fn get_course_state(
        &self,
        request: Request<GetCourseStateRequest>,
    ) -> Result<Response<CourseState>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(
            get_state(&self.app, id("id", &req.id)?).await?.into(),
        ))
    }
}
