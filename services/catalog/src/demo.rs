//! The demo catalogue: the same everywhere.

use event_bus::outbox;
use service_runtime::demo::{TEACHER, course, thing};
use typed_id::{CategoryId, CourseId, TopicId, VideoId};

use crate::app::Catalog;
use crate::domain::text::slug;
use crate::storage::courses::{self, Course, NewCourse};
use crate::storage::videos::{self, NewVideo};
use crate::storage::{categories, teachers, topics};
use crate::usecases::{ChangeError, events};

struct Demo {
    title: &'static str,
    description: &'static str,
    category: usize,
    code: &'static str,
    seat_limit: Option<i32>,
    /// The n-th demo course has to be completed first.
    needs: Option<u16>,
    topics: &'static [(&'static str, &'static [(&'static str, i32)])],
}

const CATEGORIES: &[&str] = &["Matematik", "Tarih", "Bilgisayar"];

const COURSES: &[Demo] = &[
    Demo {
        title: "Matematik I",
        description: "Limit, türev ve integral: üniversiteye hazırlık.",
        category: 0,
        code: "MAT101",
        seat_limit: None,
        needs: None,
        topics: &[
            ("Limit", &[("Limit nedir?", 1_200), ("Süreklilik", 980)]),
            (
                "Türev",
                &[("Türevin tanımı", 1_500), ("Türev alma kuralları", 1_310)],
            ),
        ],
    },
    Demo {
        title: "İstanbul Tarihi",
        description: "Bizantion'dan bugüne bir şehrin hikâyesi.",
        category: 1,
        code: "TAR110",
        seat_limit: Some(30),
        needs: None,
        topics: &[("Kuruluş", &[("Bizantion", 900)]), ("Fetih", &[("1453", 1_800)])],
    },
    Demo {
        title: "Matematik II",
        description: "Diziler, seriler ve çok değişkenli fonksiyonlar.",
        category: 0,
        code: "MAT102",
        seat_limit: None,
        needs: Some(1),
        topics: &[("Diziler", &[("Yakınsaklık", 1_400)])],
    },
    Demo {
        title: "Introduction to Rust",
        description: "Ownership, traits and async, by building a small service.",
        category: 2,
        code: "CS201",
        seat_limit: None,
        needs: None,
        topics: &[("Ownership", &[("Moves and borrows", 1_650)])],
    },
];

#[expect(clippy::print_stdout, reason = "a command's report")]
pub async fn seed(app: &Catalog) -> anyhow::Result<()> {
    let mut made = Vec::new();
    let outcome = sow(app, &mut made).await;
    // What was committed before a fault is seen too.
    if !app.caching.try_forget(&made).await {
        println!("Redis did not take all that changed; trying again, until nobody is shown what was");
        app.caching.forget_and_wait(&made).await;
    }
    // A command ends at once: the outbox is published by the service that runs.
    outcome
}

/// `made` are courses of which the cache may still show what was.
async fn sow(app: &Catalog, made: &mut Vec<CourseId>) -> anyhow::Result<()> {
    for (index, demo) in COURSES.iter().enumerate() {
        let now = app.clock.now();
        let number = u16::try_from(index + 1)?;
        let seeded = app.db.write(move |mut tx| async move {
            teachers::upsert(&mut *tx, TEACHER.id, 0, TEACHER.full_name).await?;
            let category = CategoryId(thing(u32::try_from(demo.category).unwrap_or_default()));
            let id = course(number);
            if courses::by_id(&mut *tx, id).await?.is_some() {
                return Ok(tx.rollback(false).await?);
            }
            let name = CATEGORIES[demo.category];
            let known = categories::page(&mut *tx, None, 100).await?;
            let category = match known.iter().find(|category| category.slug == slug(name)) {
                Some(known) => CategoryId(known.id),
                None => CategoryId(
                    categories::insert(&mut tx, category, name, &slug(name), now)
                        .await?
                        .id,
                ),
            };
            let new = NewCourse {
                id,
                title: demo.title.into(),
                description: demo.description.into(),
                teacher_id: TEACHER.id,
                category_id: Some(category.0),
                code: demo.code.into(),
                academic_year: "2026-2027".into(),
                seat_limit: demo.seat_limit,
                prerequisite_ids: demo.needs.map(|needed| course(needed).0).into_iter().collect(),
                now,
            };
            courses::insert(&mut tx, &new).await?;
            let mut place = 0_u32;
            for (title, lessons) in demo.topics {
                let topic = TopicId(thing(1_000 * u32::from(number) + place));
                topics::insert(&mut tx, topic, id, title, None, now).await?;
                for (title, seconds) in *lessons {
                    place += 1;
                    let number = 1_000 * u32::from(number) + 500 + place;
                    let video = NewVideo {
                        id: VideoId(thing(number)),
                        course_id: id,
                        topic_id: Some(topic.0),
                        youtube_id: format!("sc-demo{number:04}"),
                        title: (*title).into(),
                        order_index: None,
                        duration_seconds: *seconds,
                        now,
                    };
                    let video = videos::insert(&mut tx, &video).await?;
                    outbox::append(&mut tx, &events::video_changed(&video, "created")).await?;
                }
            }
            courses::recount_videos(&mut tx, id, now).await?;
            let draft = courses::by_id(&mut *tx, id)
                .await?
                .ok_or(sqlx::Error::RowNotFound)?;
            courses::update(
                &mut tx,
                &Course {
                    is_published: true,
                    published_at: Some(now),
                    ..draft
                },
                now,
            )
            .await?;
            let published = courses::by_id(&mut *tx, id)
                .await?
                .ok_or(sqlx::Error::RowNotFound)?;
            outbox::append(&mut tx, &events::course_changed(&published, "published")).await?;
            Ok::<_, ChangeError>(tx.commit(true).await?)
        });
        let seeded = seeded.await;
        // Also when it is not known whether the commit took.
        if !matches!(seeded, Ok(false)) {
            made.push(course(number));
        }
        seeded?;
    }
    Ok(())
}
