//! The videos as this service knows them; asks the catalogue once for one that it does not know.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::catalog::v1::rpc::{GetVideoState, ListVideoStates};
use contracts::catalog::v1::{GetVideoStateRequest, ListVideoStatesRequest};
use moka::future::Cache;
use postgres::{Database, problem_of};
use problem::{Problem, codes};
use rpc_client::RpcClient;
use typed_id::{CourseId, InvalidId, VideoId};
use uuid::Uuid;

use crate::storage::videos::{self, CourseVideo, Video};

/// What an event of another instance changed is seen after this.
const FRESH: Duration = Duration::from_secs(2);
const KEPT: u64 = 20_000;
/// A course without videos is asked for no more often than this.
const ASK_AGAIN: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub struct Videos {
    db: Database,
    catalog: RpcClient,
    near: Cache<VideoId, Video>,
    /// The present videos of a course that has some, in their order.
    of_course: Cache<Uuid, Arc<[CourseVideo]>>,
    /// Courses that the catalogue was asked for.
    asked: Cache<CourseId, ()>,
}

impl Videos {
    pub fn new(db: Database, catalog: RpcClient) -> Self {
        let near = Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build();
        let of_course = Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build();
        let asked = Cache::builder()
            .max_capacity(KEPT)
            .time_to_live(ASK_AGAIN)
            .build();
        Self {
            db,
            catalog,
            near,
            of_course,
            asked,
        }
    }

    /// Learns the videos of a course of which none is known: they may be older than this service. Tells whether there are any; while
    /// the catalogue is away, what is known has to do.
    pub async fn learn_course(&self, course: CourseId) -> bool {
        if self.asked.contains_key(&course) {
            return false;
        }
        self.asked.insert(course, ()).await;
        let request = ListVideoStatesRequest {
            course_id: course.into(),
        };
        let Ok(answer) = self.catalog.call_as_service::<ListVideoStates>(request).await else {
            self.asked.invalidate(&course).await;
            return false;
        };
        let states = answer.into_inner().videos;
        let found: Result<Vec<Video>, InvalidId> = states.into_iter().map(Video::try_from).collect();
        match found {
            Ok(all) if !all.is_empty() => videos::keep_all(self.db.primary(), &all).await.is_ok(),
            _ => false,
        }
    }

    /// A video that is there.
    pub async fn get(&self, id: VideoId) -> Result<Video, Problem> {
        if let Some(known) = self.near.get(&id).await {
            return Ok(known);
        }
        let known = videos::by_id(self.db.primary(), id).await.map_err(problem_of)?;
        let video = match known {
            Some(video) => Some(video).filter(|video| !video.is_deleted),
            None => self.ask(id).await?,
        };
        let video = video.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        self.near.insert(id, video.clone()).await;
        Ok(video)
    }

    /// The present videos of each of these courses, as [`FRESH`] as a single one. One query at most.
    pub async fn of_courses(
        &self,
        courses: impl Iterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, Arc<[CourseVideo]>>, Problem> {
        let (mut found, mut unknown) = (HashMap::new(), Vec::new());
        for course in courses {
            match self.of_course.get(&course).await {
                Some(videos) => {
                    found.insert(course, videos);
                }
                None => unknown.push(course),
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        let rows = videos::of_courses(self.db.primary(), &unknown)
            .await
            .map_err(problem_of)?;
        let mut read: HashMap<Uuid, Vec<CourseVideo>> = HashMap::new();
        for (course, video) in rows {
            read.entry(course).or_default().push(video);
        }
        for course in unknown {
            let videos: Arc<[CourseVideo]> = read.remove(&course).unwrap_or_default().into();
            // That there are none may be over at once: the catalogue is asked next.
            if !videos.is_empty() {
                self.of_course.insert(course, Arc::clone(&videos)).await;
            }
            found.insert(course, videos);
        }
        Ok(found)
    }

    /// What is kept of these videos and of their courses.
    pub async fn forget(&self, changed: &[(VideoId, CourseId)]) {
        for (video, course) in changed {
            self.near.invalidate(video).await;
            self.of_course.invalidate(&course.0).await;
        }
    }

    async fn ask(&self, id: VideoId) -> Result<Option<Video>, Problem> {
        let request = GetVideoStateRequest { id: id.into() };
        match self.catalog.call_as_service::<GetVideoState>(request).await {
            Ok(answer) => {
                let video = Video::try_from(answer.into_inner()).map_err(Problem::internal)?;
                videos::keep(self.db.primary(), &video)
                    .await
                    .map_err(problem_of)?;
                self.of_course.invalidate(&video.course_id.0).await;
                Ok(Some(video))
            }
            Err(status) => match Problem::from(status) {
                problem if problem.code() == &codes::NOT_FOUND => Ok(None),
                problem => Err(problem),
            },
        }
    }
}
