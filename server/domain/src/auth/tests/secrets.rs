use crate::{
    auth::{SECRETS_LEN, Secrets},
    testkit::SeededEntropy,
};

#[test]
fn secrets_come_back_as_they_were_written() {
    let secrets = Secrets::generate(&SeededEntropy::new(1));
    let bytes = secrets.to_bytes();
    assert_eq!(bytes.len(), SECRETS_LEN);
    let read = Secrets::from_bytes(&bytes).unwrap();
    assert_eq!(*read.to_bytes(), *bytes);
    let email = "alice@example.org".parse().unwrap();
    assert_eq!(read.fake_account(&email), secrets.fake_account(&email));
    assert_eq!(read.fake_recovery_wrap(&email), secrets.fake_recovery_wrap(&email));
    let other = Secrets::generate(&SeededEntropy::new(2));
    assert_ne!(other.fake_account(&email), secrets.fake_account(&email));
}

#[test]
fn bytes_that_are_no_secrets_are_refused() {
    let bytes = Secrets::generate(&SeededEntropy::new(1)).to_bytes();
    let mut version = bytes.to_vec();
    version[0] = 1;
    let longer = [&bytes[..], &[0]].concat();
    for wrong in
        [&[][..], &bytes[1..], &bytes[..SECRETS_LEN - 1], &version, &longer, &[1; SECRETS_LEN][..100]]
    {
        assert!(Secrets::from_bytes(wrong).is_err());
    }
}
