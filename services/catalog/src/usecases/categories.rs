use problem::{Problem, codes};
use typed_id::CategoryId;
use uuid::Uuid;

use super::ChangeError;
use crate::app::Catalog;
use crate::domain::text::slug;
use crate::storage::categories::{self, Category};

/// One page of categories by name; the token is empty on the last one.
pub async fn list(app: &Catalog, size: i64, token: Option<&str>) -> Result<(Vec<Category>, String), Problem> {
    let after: Option<(String, Uuid)> = app.pages.open("categories", token)?;
    let mut rows = categories::page(app.db.reader().await, after, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    let next = app
        .pages
        .cut("categories", &mut rows, size, |last| (last.name.clone(), last.id));
    Ok((rows, next))
}

pub async fn get(app: &Catalog, id: CategoryId) -> Result<Category, Problem> {
    categories::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

pub async fn create(app: &Catalog, name: String) -> Result<Category, Problem> {
    let now = app.clock.now();
    let created = app.db.write(move |mut tx| async move {
        let name = name.trim();
        let category = categories::insert(&mut tx, CategoryId::new(now), name, &slug(name), now).await?;
        Ok::<_, ChangeError>(tx.commit(category).await?)
    });
    Ok(created.await?)
}

pub async fn update(app: &Catalog, id: CategoryId, name: String) -> Result<Category, Problem> {
    let now = app.clock.now();
    let updated = app.db.write(move |mut tx| async move {
        let name = name.trim();
        let category = categories::update(&mut tx, id, name, &slug(name), now).await?;
        let category = category.ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
        Ok::<_, ChangeError>(tx.commit(category).await?)
    });
    Ok(updated.await?)
}

/// Deletes a category that no course uses.
pub async fn delete(app: &Catalog, id: CategoryId) -> Result<(), Problem> {
    let deleted = app.db.write(move |mut tx| async move {
        let found =
            categories::delete(&mut tx, id)
                .await
                .map_err(|fault| match ChangeError::from(fault) {
                    ChangeError::Refused(_) => ChangeError::Refused(&codes::CATEGORY_IN_USE),
                    ChangeError::Write(fault) => ChangeError::Write(fault),
                })?;
        if !found {
            return Err(ChangeError::Refused(&codes::NOT_FOUND));
        }
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    Ok(deleted.await?)
}
