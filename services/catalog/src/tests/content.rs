//! Topics, videos and categories: pages, single ones, and what YouTube tells of a video.

use std::fmt::Debug;
use std::sync::Arc;

use access_token::{Caller, User, permissions};
use problem::Problem;
use time::{Duration, OffsetDateTime};
use typed_id::{CategoryId, CourseId, SessionId, TopicId, UserId, VideoId};
use uuid::Uuid;

use super::lists::School;
use crate::storage::videos::Synced;
use crate::usecases::videos::{Changes, Metadata, keep_metadata};
use crate::usecases::{categories, topics, videos};

pub fn caller(id: Uuid, now: OffsetDateTime) -> Caller {
    Caller::User(Arc::new(User {
        id: UserId(id),
        session_id: SessionId::new(now),
        impersonator: None,
        key_id: String::new(),
        token_id: String::new(),
        roles: Vec::new(),
        permissions: vec![permissions::COURSES_WRITE.to_owned()].into(),
        issued_at: now,
        expires_at: now + Duration::hours(1),
    }))
}

fn code(refused: Result<impl Debug, Problem>) -> &'static str {
    refused.unwrap_err().code().name
}

#[tokio::test]
async fn topics_and_videos_come_in_pages_in_their_order() {
    let school = School::open(1).await;
    let (app, now) = (&school.app, school.app.clock.now());
    let course = CourseId(school.id("SELECT id FROM catalog.courses").await);
    let teacher = caller(school.id("SELECT id FROM catalog.teachers").await, now);
    // Some share their place in the order.
    school
        .execute(format!(
            "INSERT INTO catalog.topics (id, course_id, title, order_index, created_at, updated_at)
             SELECT gen_random_uuid(), '{course}', 'Topic', n / 3, now(), now() FROM generate_series(1, 120) AS n;
             INSERT INTO catalog.videos (id, course_id, youtube_id, title, order_index, created_at, updated_at)
             SELECT gen_random_uuid(), '{course}', 'video' || 100000 + n, 'Video', n / 3, now(), now() FROM generate_series(1, 120) AS n"
        ))
        .await;
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let (page, next) = topics::list(app, &teacher, course, 50, token.as_deref())
            .await
            .unwrap();
        seen.extend(page.iter().map(|topic| (topic.order_index, topic.id)));
        if next.is_empty() {
            break;
        }
        token = Some(next);
    }
    assert_eq!((seen.len(), seen.is_sorted()), (123, true));
    let tampered = token.map(|token| format!("{token}A"));
    let refused = topics::list(app, &teacher, course, 50, tampered.as_deref()).await;
    assert_eq!(code(refused), "invalid_page_token");
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let (page, next) = videos::list(app, &teacher, course, 50, token.as_deref())
            .await
            .unwrap();
        seen.extend(page.iter().map(|video| (video.order_index, video.id)));
        if next.is_empty() {
            break;
        }
        token = Some(next);
    }
    assert_eq!((seen.len(), seen.is_sorted()), (126, true));
    // A token of another list.
    let refused = topics::list(app, &teacher, course, 50, token.as_deref()).await;
    assert_eq!(code(refused), "invalid_page_token");
}

#[tokio::test]
async fn single_ones_are_for_whom_their_list_is() {
    let school = School::open(1).await;
    let (app, now) = (&school.app, school.app.clock.now());
    let topic = TopicId(school.id("SELECT id FROM catalog.topics LIMIT 1").await);
    let video = VideoId(school.id("SELECT id FROM catalog.videos LIMIT 1").await);
    let category = CategoryId(school.id("SELECT id FROM catalog.categories LIMIT 1").await);
    let teacher = caller(school.id("SELECT id FROM catalog.teachers").await, now);
    let other = caller(UserId::new(now).0, now);
    assert_eq!(topics::get(app, &teacher, topic).await.unwrap().id, topic.0);
    assert_eq!(videos::get(app, &teacher, video).await.unwrap().id, video.0);
    assert_eq!(categories::get(app, category).await.unwrap().id, category.0);
    assert_eq!(code(topics::get(app, &other, topic).await), "permission_denied");
    assert_eq!(
        code(videos::get(app, &Caller::Anonymous, video).await),
        "unauthenticated"
    );
    // Enrollment decides, and is not there.
    let unknown = code(videos::get(app, &other, video).await);
    assert!(!["not_found", "not_enrolled"].contains(&unknown), "{unknown}");
    school
        .execute("UPDATE catalog.courses SET is_published = false".into())
        .await;
    assert_eq!(code(topics::get(app, &other, topic).await), "not_found");
    assert_eq!(code(videos::get(app, &other, video).await), "not_found");
    assert_eq!(
        code(topics::get(app, &teacher, TopicId::new(now)).await),
        "not_found"
    );
    assert_eq!(
        code(videos::get(app, &teacher, VideoId::new(now)).await),
        "not_found"
    );
    assert_eq!(
        code(categories::get(app, CategoryId::new(now)).await),
        "not_found"
    );
}

#[tokio::test]
async fn categories_are_in_the_order_of_the_turkish_alphabet() {
    let school = School::open(0).await;
    let names = [
        "Cebir",
        "Çağdaş Sanat",
        "Dilbilim",
        "Iğdır",
        "İktisat",
        "Jeoloji",
        "Okul Öncesi",
        "Öğretim",
        "Sanat",
        "Şiir",
        "Uzay",
        "Ünlüler",
        "Zooloji",
    ];
    school.execute("DELETE FROM catalog.categories".into()).await;
    for name in names.iter().rev() {
        categories::create(&school.app, (*name).into()).await.unwrap();
    }
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let (page, next) = categories::list(&school.app, 3, token.as_deref()).await.unwrap();
        seen.extend(page.into_iter().map(|category| category.name));
        if next.is_empty() {
            break;
        }
        token = Some(next);
    }
    assert_eq!(seen, names);
}

#[tokio::test]
async fn what_youtube_tells_is_kept_until_the_video_becomes_another_one() {
    let school = School::open(1).await;
    let (app, now) = (&school.app, school.app.clock.now());
    let teacher = caller(school.id("SELECT id FROM catalog.teachers").await, now);
    let id = VideoId(school.id("SELECT id FROM catalog.videos LIMIT 1").await);
    let before = videos::get(app, &teacher, id).await.unwrap();
    assert_eq!(
        (before.youtube_status.as_deref(), &*before.thumbnail_url),
        (None, "")
    );
    let hear = async |youtube_id: &str, status: &str, seconds: i64| {
        let told = Metadata {
            youtube_id: youtube_id.into(),
            title: "At YouTube".into(),
            duration_seconds: 120,
            synced: Synced {
                status: status.into(),
                thumbnail_url: format!("https://i.ytimg.com/{seconds}.jpg"),
                at: now + Duration::seconds(seconds),
            },
        };
        let heard = app.db.write(move |mut tx| async move {
            let changed = keep_metadata(&mut tx, vec![(id, told)]).await?;
            tx.commit(!changed.is_empty()).await
        });
        heard.await.unwrap()
    };
    let own = before.youtube_id.clone();
    assert!(hear(&own, "available", 10).await, "it has a length now");
    assert!(!hear(&own, "available", 20).await, "nothing new but the time");
    assert!(!hear(&own, "gone", 15).await, "late");
    assert!(
        !hear("anotherone1", "gone", 30).await,
        "of an id that it had before"
    );
    let after = videos::get(app, &teacher, id).await.unwrap();
    assert_eq!(
        (
            after.youtube_status.as_deref(),
            &*after.thumbnail_url,
            after.duration_seconds
        ),
        (Some("available"), "https://i.ytimg.com/20.jpg", 120)
    );
    assert!(after.youtube_synced_at > Some(now + Duration::seconds(15)));
    assert_eq!(after.version, before.version + 1);
    let changes = Changes {
        youtube_id: Some("anotherone1".into()),
        ..Changes::default()
    };
    let another = videos::update(app, &teacher, id, changes).await.unwrap();
    assert_eq!(
        (
            another.youtube_status,
            &*another.thumbnail_url,
            another.youtube_synced_at
        ),
        (None, "", None)
    );
}
