//! Names of files: short enough for every file system.

use xxhash_rust::xxh3::xxh3_64;

/// The bytes that a name may have: file systems allow 255, and others put words before and behind
/// it.
const MOST: usize = 120;

/// A file's name for something with this name: the same where it is short, else its beginning and a
/// digest of all of it, so that names that differ stay different.
pub fn file_name(name: &str) -> String {
    if name.len() <= MOST {
        return name.to_owned();
    }
    let mut end = MOST - 17;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{:016x}", &name[..end], xxh3_64(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_stay_and_long_ones_stay_different() {
        assert_eq!(file_name("http-fanout"), "http-fanout");
        let (one, other) = (
            file_name(&format!("{}a", "x".repeat(250))),
            file_name(&format!("{}b", "x".repeat(250))),
        );
        assert_eq!((one.len(), other.len()), (MOST, MOST));
        assert_ne!(one, other);
        assert_eq!(one, file_name(&format!("{}a", "x".repeat(250))));
        assert!(file_name(&"é".repeat(200)).len() <= MOST);
    }
}
