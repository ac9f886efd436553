//! Between the contract's messages and the use cases' types.

use std::str::FromStr;

use contracts::catalog::v1 as proto;
use contracts::fields::clearable;
pub use contracts::fields::id;
use contracts::timestamp;
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{CourseId, UserId, VideoId};
use uuid::Uuid;

use crate::storage::categories::Category;
use crate::storage::course_lists::{Drafts, Filter};
use crate::storage::courses::{Course, NewCourse};
use crate::storage::topics::Topic;
use crate::storage::videos::{NewVideo, Video};
use crate::usecases::list_courses::Query;
use crate::usecases::{change_course, videos};

pub fn uuids(field: &'static str, texts: &[String]) -> Result<Vec<Uuid>, Problem> {
    texts.iter().map(|text| id(field, text)).collect()
}

fn optional<T: FromStr>(field: &'static str, text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(|text| id(field, text)).transpose()
}

/// `None` leaves the field; an empty text clears it.
fn clearable_id(field: &'static str, text: Option<&str>) -> Result<Option<Option<Uuid>>, Problem> {
    clearable(text, |text| id(field, text))
}

fn trimmed(text: Option<String>) -> String {
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

pub fn query(req: proto::ListCoursesRequest) -> Result<Query, Problem> {
    let filter = Filter {
        category_id: optional("category_id", req.category_id.as_deref())?,
        teacher_id: optional("teacher_id", req.teacher_id.as_deref())?,
        code: req.code,
        academic_year: req.academic_year,
        drafts: Drafts::None,
    };
    Ok(Query {
        search: req.q,
        filter,
        include_drafts: req.include_drafts.unwrap_or(false),
        size: postgres::page_size(req.page_size),
        token: req.page_token,
    })
}

pub fn new_course(
    req: proto::CreateCourseRequest,
    caller: UserId,
    now: OffsetDateTime,
) -> Result<NewCourse, Problem> {
    Ok(NewCourse {
        id: CourseId::new(now),
        title: req.title.trim().to_owned(),
        description: trimmed(req.description),
        teacher_id: optional("teacher_id", req.teacher_id.as_deref())?.unwrap_or(caller),
        category_id: optional("category_id", req.category_id.as_deref())?,
        code: trimmed(req.code),
        academic_year: trimmed(req.academic_year),
        seat_limit: req.seat_limit,
        prerequisite_ids: uuids("prerequisite_ids", &req.prerequisite_ids)?,
        now,
    })
}

pub fn course_changes(req: proto::UpdateCourseRequest) -> Result<change_course::Changes, Problem> {
    let named = req
        .prerequisite_ids
        .map(|all| uuids("prerequisite_ids", &all.items))
        .transpose()?;
    let before = req
        .prerequisites
        .map(|all| uuids("prerequisites.course_ids", &all.course_ids))
        .transpose()?;
    let prerequisites = match (named, before) {
        // A client that says both means one of them, and nobody knows which.
        (Some(named), Some(before)) if !are_the_same(&named, &before) => {
            let detail = "has to be the same as prerequisite_ids";
            return Err(Problem::invalid_field(
                "prerequisites",
                "prerequisites.differ",
                detail,
            ));
        }
        (named, before) => named.or(before),
    };
    Ok(change_course::Changes {
        title: req.title,
        description: req.description,
        category_id: clearable_id("category_id", req.category_id.as_deref())?,
        code: req.code,
        academic_year: req.academic_year,
        seat_limit: req.seat_limit.map(|limit| Some(limit).filter(|limit| *limit > 0)),
        prerequisite_ids: prerequisites,
        teacher_id: optional("teacher_id", req.teacher_id.as_deref())?,
    })
}

/// In any order.
fn are_the_same(some: &[Uuid], others: &[Uuid]) -> bool {
    let sorted = |ids: &[Uuid]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    sorted(some) == sorted(others)
}

pub fn new_video(req: proto::CreateVideoRequest, now: OffsetDateTime) -> Result<NewVideo, Problem> {
    Ok(NewVideo {
        id: VideoId::new(now),
        course_id: id("course_id", &req.course_id)?,
        topic_id: optional("topic_id", req.topic_id.as_deref())?,
        youtube_id: req.youtube_id,
        title: req.title.trim().to_owned(),
        order_index: req.order_index,
        duration_seconds: req.duration_seconds.unwrap_or(0),
        now,
    })
}

pub fn video_changes(req: proto::UpdateVideoRequest) -> Result<videos::Changes, Problem> {
    Ok(videos::Changes {
        topic_id: clearable_id("topic_id", req.topic_id.as_deref())?,
        youtube_id: req.youtube_id,
        title: req.title,
        order_index: req.order_index,
        duration_seconds: req.duration_seconds,
    })
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl From<Course> for proto::Course {
    fn from(course: Course) -> Self {
        Self {
            id: course.id.to_string(),
            title: course.title,
            description: course.description,
            teacher_id: course.teacher_id.to_string(),
            teacher_name: course.teacher_name.unwrap_or_default(),
            category_id: text(course.category_id),
            code: course.code,
            academic_year: course.academic_year,
            is_published: course.is_published,
            is_archived: !course.is_active,
            video_count: course.video_count,
            duration_seconds: course.duration_seconds,
            seat_limit: course.seat_limit,
            prerequisite_ids: texts(&course.prerequisite_ids),
            version: course.version,
            created_at: Some(timestamp(course.created_at)),
            updated_at: Some(timestamp(course.updated_at)),
            published_at: course.published_at.map(timestamp),
        }
    }
}

impl From<Video> for proto::VideoState {
    fn from(video: Video) -> Self {
        Self {
            video_id: video.id.to_string(),
            version: video.version,
            course_id: video.course_id.to_string(),
            youtube_id: video.youtube_id,
            title: video.title,
            duration_seconds: video.duration_seconds,
            order_index: video.order_index,
        }
    }
}

impl From<Course> for proto::CourseState {
    fn from(course: Course) -> Self {
        Self {
            course_id: course.id.to_string(),
            version: course.version,
            title: course.title,
            teacher_id: course.teacher_id.to_string(),
            category_id: text(course.category_id),
            is_published: course.is_published,
            is_archived: !course.is_active,
            seat_limit: course.seat_limit,
            prerequisite_ids: texts(&course.prerequisite_ids),
        }
    }
}

/// A course with its topics and their videos; videos without a topic stand beside them. YouTube ids stay inside.
pub fn detail(course: Course, topics: Vec<Topic>, videos: &[Video]) -> proto::CourseDetail {
    let outline = |video: &Video| proto::VideoOutline {
        id: video.id.to_string(),
        title: video.title.clone(),
        order_index: video.order_index,
        duration_seconds: video.duration_seconds,
    };
    let of_topic = |topic: Option<Uuid>| {
        videos
            .iter()
            .filter(|v| v.topic_id == topic)
            .map(outline)
            .collect()
    };
    let topics = topics.into_iter().map(|topic| proto::TopicOutline {
        id: topic.id.to_string(),
        videos: of_topic(Some(topic.id)),
        title: topic.title,
        order_index: topic.order_index,
    });
    let course = proto::Course::from(course);
    proto::CourseDetail {
        topics: topics.collect(),
        videos: of_topic(None),
        id: course.id,
        title: course.title,
        description: course.description,
        teacher_id: course.teacher_id,
        teacher_name: course.teacher_name,
        category_id: course.category_id,
        code: course.code,
        academic_year: course.academic_year,
        is_published: course.is_published,
        is_archived: course.is_archived,
        video_count: course.video_count,
        duration_seconds: course.duration_seconds,
        seat_limit: course.seat_limit,
        prerequisite_ids: course.prerequisite_ids,
        version: course.version,
        created_at: course.created_at,
        updated_at: course.updated_at,
        published_at: course.published_at,
    }
}

impl From<Topic> for proto::Topic {
    fn from(topic: Topic) -> Self {
        Self {
            id: topic.id.to_string(),
            course_id: topic.course_id.to_string(),
            title: topic.title,
            order_index: topic.order_index,
            created_at: Some(timestamp(topic.created_at)),
            updated_at: Some(timestamp(topic.updated_at)),
        }
    }
}

pub fn topic_list(topics: Vec<Topic>, next_page_token: String) -> proto::ListTopicsResponse {
    proto::ListTopicsResponse {
        topics: topics.into_iter().map(Into::into).collect(),
        next_page_token,
    }
}

impl From<Video> for proto::Video {
    fn from(video: Video) -> Self {
        Self {
            id: video.id.to_string(),
            course_id: video.course_id.to_string(),
            topic_id: text(video.topic_id),
            youtube_id: video.youtube_id,
            title: video.title,
            order_index: video.order_index,
            duration_seconds: video.duration_seconds,
            thumbnail_url: video.thumbnail_url,
            youtube_status: video.youtube_status.unwrap_or_default(),
            youtube_synced_at: video.youtube_synced_at.map(timestamp),
            created_at: Some(timestamp(video.created_at)),
            updated_at: Some(timestamp(video.updated_at)),
        }
    }
}

impl From<Category> for proto::Category {
    fn from(category: Category) -> Self {
        Self {
            id: category.id.to_string(),
            name: category.name,
            slug: category.slug,
            created_at: Some(timestamp(category.created_at)),
            updated_at: Some(timestamp(category.updated_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prerequisites_are_named_as_the_course_names_them_and_as_before() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let wanted = |list: Option<Vec<Uuid>>, before: Option<Uuid>| {
            let request = proto::UpdateCourseRequest {
                prerequisite_ids: list.map(|ids| proto::PrerequisiteList { items: texts(&ids) }),
                prerequisites: before.map(|id| proto::Prerequisites {
                    course_ids: texts(&[id]),
                }),
                ..proto::UpdateCourseRequest::default()
            };
            course_changes(request).map(|changes| changes.prerequisite_ids)
        };
        assert_eq!(wanted(None, None).unwrap(), None);
        assert_eq!(wanted(Some(Vec::new()), None).unwrap(), Some(Vec::new()));
        assert_eq!(wanted(None, Some(other)).unwrap(), Some(vec![other]));
        assert_eq!(wanted(Some(vec![one]), Some(one)).unwrap(), Some(vec![one]));
        let refused = wanted(Some(vec![one]), Some(other)).unwrap_err();
        assert_eq!(refused.fields()[0].code, "prerequisites.differ");
        assert!(are_the_same(&[one, other], &[other, one]));
    }
}
