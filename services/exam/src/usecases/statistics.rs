use std::collections::HashMap;

use access_token::Caller;
use postgres::problem_of;
use problem::Problem;
use typed_id::ExamId;
use uuid::Uuid;

use super::exams::for_staff;
use crate::app::Exams;
use crate::domain::final_score::{Final, Summary, summary};
use crate::domain::question::Question;
use crate::storage::statistics::{self, Chosen, Item};
use crate::storage::{finals, questions};

/// One question and how it did.
pub struct ItemAnalysis {
    pub question: Question,
    pub item: Item,
    /// How often each option was chosen.
    pub chosen: HashMap<Uuid, i64>,
}

pub struct Analysis {
    /// Attempts that count.
    pub attempts: usize,
    pub summary: Summary,
    pub items: Vec<ItemAnalysis>,
}

/// Item analysis over the attempts at an exam that count. Four queries, however many attempts there are.
pub async fn statistics(app: &Exams, caller: &Caller, id: ExamId) -> Result<Analysis, Problem> {
    for_staff(app, caller, id).await?;
    let db = app.db.primary();
    let finals: Vec<Final> = finals::of_exam(db, id)
        .await
        .map_err(problem_of)?
        .into_values()
        .collect();
    let counting: Vec<Uuid> = finals
        .iter()
        .flat_map(|of| of.counting.iter().map(|attempt| attempt.0))
        .collect();
    let items = statistics::items(db, &counting).await.map_err(problem_of)?;
    let mut chosen: HashMap<Uuid, HashMap<Uuid, i64>> = HashMap::new();
    for Chosen {
        question_id,
        option_id,
        count,
    } in statistics::chosen(db, &counting).await.map_err(problem_of)?
    {
        chosen.entry(question_id).or_default().insert(option_id, count);
    }
    let ids: Vec<Uuid> = items.iter().map(|item| item.question_id).collect();
    let mut known: HashMap<Uuid, Question> = questions::present(db, &ids)
        .await
        .map_err(problem_of)?
        .into_iter()
        .map(|question| (question.id.0, question))
        .collect();
    let mut items: Vec<ItemAnalysis> = items
        .into_iter()
        .filter_map(|item| {
            Some(ItemAnalysis {
                question: known.remove(&item.question_id)?,
                chosen: chosen.remove(&item.question_id).unwrap_or_default(),
                item,
            })
        })
        .collect();
    items.sort_by_key(|item| item.question.id);
    Ok(Analysis {
        attempts: counting.len(),
        summary: summary(&finals),
        items,
    })
}
