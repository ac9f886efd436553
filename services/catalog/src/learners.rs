//! Who learns where: enrollment is asked, and who may learn is remembered for a moment.

use std::time::Duration;

use contracts::enrollment::v1::{GetEnrollmentStateRequest, rpc::GetEnrollmentState};
use moka::sync::Cache;
use problem::{Problem, codes};
use roster::Enrollment;
use rpc_client::RpcClient;
use typed_id::{CourseId, UserId};

/// What changed is seen after this at the latest.
const FRESH: Duration = Duration::from_secs(2);
const KEPT: u64 = 50_000;

#[derive(Clone)]
pub struct Learners {
    enrollment: RpcClient,
    /// That somebody may not is never kept: they may have enrolled a moment ago.
    known: Cache<(UserId, CourseId), ()>,
}

impl Learners {
    pub fn new(enrollment: RpcClient) -> Self {
        Self {
            enrollment,
            known: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(),
        }
    }

    pub async fn may_learn(&self, user: UserId, course: CourseId) -> Result<bool, Problem> {
        if self.known.contains_key(&(user, course)) {
            return Ok(true);
        }
        let request = GetEnrollmentStateRequest {
            user_id: user.into(),
            course_id: course.into(),
        };
        let answer = self
            .enrollment
            .call_as_service::<GetEnrollmentState>(request)
            .await;
        match answer.map_err(Problem::from) {
            Ok(state) => {
                let enrollment = Enrollment::try_from(state.into_inner()).map_err(Problem::internal)?;
                if enrollment.may_learn() {
                    self.known.insert((user, course), ());
                }
                Ok(enrollment.may_learn())
            }
            Err(problem) if problem.code() == &codes::NOT_FOUND => Ok(false),
            Err(problem) => Err(problem),
        }
    }
}
