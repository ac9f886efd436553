//! A signing key that has leaked is taken out of use while everything runs.
#![expect(clippy::print_stdout, reason = "how long it took")]

use journeys::people::{PASSWORD, sign_in, student};
use journeys::rpc::Port;
use journeys::{Process, Stack};
use tokio::time::Instant;
use tonic::Code;

const GET_ME: &str = "/sc.auth.v1.UserService/GetMe";
const MY_RESULTS: &str = "/sc.exam.v1.ExamService/ListMyResults";

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_opens_nothing_and_people_go_on() {
    let stack = Stack::start().await;
    let ada = student(&stack, "ada").await;
    let old = ada.api.token().unwrap().to_owned();
    let (auth, exam) = (
        Port::connect(&stack, "auth").await,
        Port::connect(&stack, "exam").await,
    );
    assert_eq!(auth.call(GET_ME, Some(&old)).await, Code::Ok);
    assert_eq!(exam.call(MY_RESULTS, Some(&old)).await, Code::Ok);

    let listed = stack.run(Process::Auth, &["keys", "list"]);
    let keys: Vec<&str> = listed
        .lines()
        .filter(|line| line.contains("signs from"))
        .collect();
    assert_eq!(keys.len(), 1, "{listed}");
    let kid = keys[0].split_whitespace().next().unwrap();
    stack.run(Process::Auth, &["keys", "withdraw", kid]);
    let begun = Instant::now();
    stack
        .eventually(|| async {
            let refused = [
                auth.call(GET_ME, Some(&old)).await,
                exam.call(MY_RESULTS, Some(&old)).await,
            ];
            let at_the_edge = ada.api.get("/api/v1/users/me").await.status;
            (refused == [Code::Unauthenticated; 2] && at_the_edge == 401).then_some(())
        })
        .await;
    println!("refused everywhere after {} ms", begun.elapsed().as_millis());
    // A process that asked for the keys a moment before the change asks again some seconds later.
    let again = stack
        .eventually(|| async {
            let again = sign_in(&stack, &ada.email, PASSWORD).await;
            let token = again.api.token()?;
            let codes = [
                auth.call(GET_ME, Some(token)).await,
                exam.call(MY_RESULTS, Some(token)).await,
            ];
            let at_the_edge = again.api.get("/api/v1/users/me").await.status;
            (codes == [Code::Ok; 2] && at_the_edge == 200).then_some(again)
        })
        .await;
    println!(
        "the new key is taken everywhere after {} ms",
        begun.elapsed().as_millis()
    );
    // Work between services goes on with new tokens: enrolling asks auth and the catalogue.
    again.api.get("/api/v1/users/me/enrollments").await.expect(200);
    assert!(!stack.run(Process::Auth, &["keys", "list"]).contains(kid));
}
