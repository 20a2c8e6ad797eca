//! The lock service with certificates and tokens: nodes that know each other by TLS, and clients in
//! TLS with tokens that allow more or less.

use crate::support::secured::{ADMIN, READER, Secured, WRITER, refused, run, succeeded};

#[test]
fn locks_are_for_whom_certificates_and_tokens_say() {
    let mut secured = Secured::new("locks");
    for id in 0..=3 {
        secured.launch(id);
    }
    secured.wait_until_all_agree();
    let job = ["lock", "run", "job", "--wait", "20s", "--config"];
    let run_job = |token: Option<&str>| {
        let args = [
            &job[..],
            &[
                "cluster.toml",
                "--",
                "sh",
                "-c",
                "echo $LOCKSTEP_FENCING_TOKEN",
            ],
        ];
        run(secured.folder(), token, &args.concat())
    };
    let token = succeeded(&run_job(Some(WRITER)));
    assert!(token.contains('.'), "{token}");
    let said = refused(&run_job(Some(READER)));
    assert!(
        said.contains("403") && said.contains("nothing was changed"),
        "{said}"
    );
    for token in [None, Some("writer-0123456788")] {
        let said = refused(&run_job(token));
        assert!(said.contains("401"), "{said}");
    }
    succeeded(&secured.run(Some(READER), &["lock", "show"]));
    let said = refused(&secured.run(Some(WRITER), &["locks", "deregister", "3"]));
    assert!(said.contains("403"), "{said}");
    let said = succeeded(&secured.run(Some(ADMIN), &["locks", "deregister", "3"]));
    assert!(said.contains("no member since epoch"), "{said}");
}
