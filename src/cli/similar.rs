//! Which command was meant.

use std::collections::HashMap;

/// The candidates that share pairs of letters with the word, best first, at most three.
///
/// The measure is the cosine between the counts of pairs, case folded. Of candidates with the same measure the last
/// one stands, as in the parser library of Neo4j's tool.
pub(super) fn most_similar<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Vec<&'c str> {
    let wanted = pairs(word);
    let mut scored: Vec<(f64, &str)> = Vec::new();
    for candidate in candidates {
        let other = pairs(candidate);
        let score = product(&wanted, &other) / (product(&wanted, &wanted) * product(&other, &other)).sqrt();
        if score > 0.0 {
            scored.retain(|(existing, _)| existing.total_cmp(&score).is_ne());
            scored.push((score, candidate));
        }
    }
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

fn pairs(word: &str) -> HashMap<(char, char), f64> {
    let letters: Vec<char> = word.to_lowercase().chars().collect();
    let mut counts = HashMap::new();
    for (&first, &second) in letters.iter().zip(letters.iter().skip(1)) {
        *counts.entry((first, second)).or_insert(0.0) += 1.0;
    }
    counts
}

fn product(a: &HashMap<(char, char), f64>, b: &HashMap<(char, char), f64>) -> f64 {
    a.iter().map(|(pair, count)| count * b.get(pair).copied().unwrap_or(0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_three_come_first() {
        let commands =
            ["help", "check-consistency", "report", "store-info", "set-initial-password", "backup"];
        for (word, expected) in [
            ("bakcup", &["backup"][..]),
            ("BACKUP", &["backup", "check-consistency"]),
            ("conistency", &["check-consistency", "store-info", "set-initial-password"]),
            ("b", &[]),
            ("", &[]),
            ("kcab", &[]),
        ] {
            assert_eq!(most_similar(word, commands), expected, "{word}");
        }
    }
}
