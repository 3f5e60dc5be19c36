//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: what is said, as pure functions of
//! what was said.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::error::MongoError;

/// Rounds of salting that a server may ask for: fewer are forbidden by RFC 7677, and MongoDB asks
/// for 15 000. More than so many would let a server keep its clients busy for minutes.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=10_000_000;

type ScramKey = [u8; 32];

/// The client's first words.
pub(super) struct First {
    /// Without the header that is about channel binding.
    bare: String,
    nonce: String,
}

/// The client's first words, of a user, with a nonce made of random bytes.
pub(super) fn first(user: &str, random: &[u8]) -> First {
    first_with(user, STANDARD.encode(random))
}

fn first_with(user: &str, nonce: String) -> First {
    // Equality signs first: the comma's escape has one.
    let user = user.replace('=', "=3D").replace(',', "=2C");
    First { bare: format!("n={user},r={nonce}"), nonce }
}

impl First {
    /// As it is sent: no channel binding, no other identity.
    pub(super) fn message(&self) -> String {
        format!("n,,{}", self.bare)
    }
}

/// The server's first words.
pub(super) struct Challenge {
    text: String,
    nonce: String,
    salt: Vec<u8>,
    rounds: u32,
}

impl Challenge {
    /// Reads them, and sees to it that they answer the client's.
    pub(super) fn read(text: &str, first: &First) -> Result<Self, MongoError> {
        let wrong = |what: &str| MongoError::Login(format!("the server's challenge has {what}"));
        let nonce = field(text, 'r')
            .filter(|nonce| nonce.starts_with(&first.nonce) && *nonce != first.nonce);
        let nonce = nonce.ok_or_else(|| wrong("a nonce that does not begin with ours"))?.to_owned();
        let salt = field(text, 's')
            .and_then(|salt| STANDARD.decode(salt).ok())
            .ok_or_else(|| wrong("no salt"))?;
        let rounds = field(text, 'i')
            .and_then(|rounds| rounds.parse().ok())
            .filter(|rounds| ROUNDS.contains(rounds));
        let rounds =
            rounds.ok_or_else(|| wrong("a number of rounds that is missing, or out of bounds"))?;
        Ok(Self { text: text.to_owned(), nonce, salt, rounds })
    }

    /// The client's last words, and the signature that the server must answer with.
    pub(super) fn answer(&self, first: &First, salted: &Salted) -> (String, ScramKey) {
        // `biws` is the header `n,,` again, in Base64.
        let bare = format!("c=biws,r={}", self.nonce);
        let signed = format!("{},{},{bare}", first.bare, self.text);
        let client = hmac(&salted.key, b"Client Key");
        let stored: ScramKey = Sha256::digest(client).into();
        let signature = hmac(&stored, signed.as_bytes());
        let proof: Vec<u8> =
            client.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        let server = hmac(&salted.key, b"Server Key");
        (format!("{bare},p={}", STANDARD.encode(proof)), hmac(&server, signed.as_bytes()))
    }
}

/// A salted password; it has no words.
#[derive(Clone)]
pub(super) struct Salted {
    salt: Vec<u8>,
    rounds: u32,
    key: ScramKey,
}

impl std::fmt::Debug for Salted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("***")
    }
}

impl Salted {
    /// Salts a password as the server asks; slow on purpose.
    pub(super) fn new(password: &str, challenge: &Challenge) -> Result<Self, MongoError> {
        let password = stringprep::saslprep(password).map_err(|_| {
            MongoError::Login("the password has characters that SCRAM does not permit".into())
        })?;
        let mut key = ScramKey::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(
            password.as_bytes(),
            &challenge.salt,
            challenge.rounds,
            &mut key,
        );
        Ok(Self { salt: challenge.salt.clone(), rounds: challenge.rounds, key })
    }

    /// Whether it answers this challenge.
    pub(super) fn is_for(&self, challenge: &Challenge) -> bool {
        (&self.salt, self.rounds) == (&challenge.salt, challenge.rounds)
    }
}

/// Sees to it that the server's last words prove that it knows the password, too.
pub(super) fn verify(text: &str, expected: &ScramKey) -> Result<(), MongoError> {
    if let Some(why) = field(text, 'e') {
        return Err(MongoError::Login(format!("the server says: {why}")));
    }
    let signature = field(text, 'v').and_then(|signature| STANDARD.decode(signature).ok());
    if signature.as_deref() == Some(expected) {
        return Ok(());
    }
    Err(MongoError::Login("the server did not prove that it knows the password".into()))
}

/// The value of one of the fields `r=…,s=…,i=…`.
fn field(text: &str, name: char) -> Option<&str> {
    text.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn hmac(key: &ScramKey, text: &[u8]) -> ScramKey {
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().into());
    // HMAC takes keys of any length (RFC 2104), so that there is no error.
    mac.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The exchange of RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const VERIFIER: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn answered(password: &str) -> (String, ScramKey) {
        let first = first_with("user", NONCE.into());
        let challenge = Challenge::read(CHALLENGE, &first).unwrap();
        challenge.answer(&first, &Salted::new(password, &challenge).unwrap())
    }

    #[test]
    fn the_exchange_is_that_of_rfc_7677() {
        assert_eq!(first_with("user", NONCE.into()).message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (proof, expected) = answered("pencil");
        assert_eq!(proof, PROOF);
        verify(VERIFIER, &expected).unwrap();
    }

    #[test]
    fn neither_side_is_believed_without_a_proof() {
        let (proof, expected) = answered("Pencil");
        assert_ne!(proof, PROOF);
        assert!(verify(VERIFIER, &expected).unwrap_err().to_string().contains("did not prove"));
        assert!(
            verify("e=invalid-proof", &expected).unwrap_err().to_string().contains("invalid-proof")
        );
        assert!(verify("", &expected).is_err());
    }

    #[test]
    fn a_challenge_must_answer_ours_and_be_bounded() {
        let first = first_with("user", NONCE.into());
        for (from, to) in [
            ("rOpr", "xOpr"),
            ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""),
            ("4096", "4095"),
            ("4096", "99999999"),
            ("s=W", "s=%"),
        ] {
            assert!(Challenge::read(&CHALLENGE.replace(from, to), &first).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn names_are_escaped_and_passwords_prepared() {
        assert_eq!(first_with("a=b,c", "n".into()).message(), "n,,n=a=3Db=2Cc,r=n");
        // RFC 4013: a soft hyphen vanishes, a Roman numeral becomes letters.
        assert_eq!(answered("p\u{ad}encil"), answered("pencil"));
        let challenge = Challenge::read(CHALLENGE, &first_with("user", NONCE.into())).unwrap();
        assert!(Salted::new("a\u{7}b", &challenge).is_err());
        assert_eq!(format!("{:?}", Salted::new("pencil", &challenge).unwrap()), "***");
    }
}
