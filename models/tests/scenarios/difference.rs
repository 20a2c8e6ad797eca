//! A readable difference of two texts.

/// The lines of `old` and `new`, those in one alone marked `-` or `+`; of what they share,
/// only the neighbourhood of a mark.
pub(crate) fn of(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let marked = mark(&old, &new, &common(&old, &new));
    let near = |position: usize| {
        let start = position.saturating_sub(3);
        let end = (position + 4).min(marked.len());
        marked[start..end].iter().any(|(mark, _)| *mark != ' ')
    };
    let shown = (0..marked.len()).filter(|&position| near(position));
    shown
        .map(|position| format!("{} {}\n", marked[position].0, marked[position].1))
        .collect()
}

/// `table[i][j]`: how many lines `old[i..]` and `new[j..]` have in common, in order.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i][j] = if old[i] == new[j] {
                table[i + 1][j + 1] + 1
            } else {
                table[i + 1][j].max(table[i][j + 1])
            };
        }
    }
    table
}

fn mark<'a>(old: &[&'a str], new: &[&'a str], common: &[Vec<usize>]) -> Vec<(char, &'a str)> {
    let (mut i, mut j) = (0, 0);
    let mut marked = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            marked.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            marked.push(('-', old[i]));
            i += 1;
        } else {
            marked.push(('+', new[j]));
            j += 1;
        }
    }
    marked
}

#[test]
fn a_difference_shows_what_changed_and_where() {
    let old = "1\n2\n3\n4\n5\n6\n7\n8\n";
    let new = "1\n2\n3\n4\nfive\n6\n7\n8\nnine\n";
    let expected = "  2\n  3\n  4\n- 5\n+ five\n  6\n  7\n  8\n+ nine\n";
    assert_eq!(of(old, new), expected);
    assert_eq!(of(old, old), "");
}
