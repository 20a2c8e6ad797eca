//! Puts a story on paper: SVG, top to bottom.

use std::fmt::Write as _;

use super::story::{Lane, Mark, Story};

const MARGIN: usize = 48;
const HEADER: usize = 60;
/// The height of a row with one mark in it, and of each further mark.
const ROW: usize = 38;
const EXTRA: usize = 20;
/// About the width of a letter, and of what a label must leave free beside a lifeline.
const LETTER: usize = 6;
const GAP: usize = 14;
/// The slope beyond which a label does not follow its arrow.
const STEEPEST: f64 = 0.6;
/// Beyond this many letters a label is cut short; its tooltip has it in full.
const LONGEST: usize = 40;

/// The picture has a ground of its own, so it can be read on any page; the colours follow
/// what the reader's system prefers.
const STYLE: &str = "\
.lockstep{--ground:#fcfcfb;--ink:#1f2933;--faint:#7b8794;--line:#aab4be;--message:#1f5fa8;\
--role:#e3ecf7;--good:#1b7f4b;--bad:#c0262d;font:11px system-ui,sans-serif;fill:var(--ink)}\
@media(prefers-color-scheme:dark){.lockstep{--ground:#15202b;--ink:#e4e9ee;--faint:#8f9ba8;\
--line:#52606d;--message:#7db4f0;--role:#27405e;--good:#5cc48d;--bad:#ff7b7b}}\
.lockstep .ground{fill:var(--ground)}\
.lockstep .name{font-weight:bold;font-size:13px}\
.lockstep .faint{fill:var(--faint)}\
.lockstep .label{paint-order:stroke;stroke:var(--ground);stroke-width:3px;stroke-linejoin:round}\
.lockstep .life{stroke:var(--line);stroke-width:1.5}\
.lockstep .down{stroke:var(--line);stroke-width:1.5;stroke-dasharray:2 5}\
.lockstep .arrow{stroke:var(--message);stroke-width:1.3;fill:none}\
.lockstep .lost{stroke-dasharray:5 4}\
.lockstep .head{fill:var(--message)}\
.lockstep .role{fill:var(--role);stroke:var(--message)}\
.lockstep .timer{fill:var(--ground);stroke:var(--ink);stroke-width:1.3}\
.lockstep .good{stroke:var(--good);fill:var(--ground);stroke-width:2}\
.lockstep .bad{stroke:var(--bad);stroke-width:2.5;fill:none}\
.lockstep .end{fill:var(--bad);font-weight:bold;font-size:13px}";

/// Draws the story.
pub(super) fn draw(story: &Story) -> String {
    let mut canvas = Canvas::new(story);
    canvas.head(story);
    canvas.lifelines(story);
    for (row, marks) in story.rows.iter().enumerate() {
        canvas.row(row, marks);
    }
    canvas.foot(story);
    canvas.svg
}

struct Canvas {
    svg: String,
    /// What goes on top of all lines: words, with a halo.
    words: String,
    spacing: usize,
    width: usize,
    height: usize,
    /// The vertical position of each row.
    rows: Vec<usize>,
}

impl Canvas {
    fn new(story: &Story) -> Self {
        let spacing = spacing(story);
        let mut y = HEADER;
        let mut rows = Vec::new();
        for marks in &story.rows {
            rows.push(y);
            y += ROW + EXTRA * marks.len().saturating_sub(1);
        }
        let ending = story.ending.as_ref().map_or(0, |text| text.chars().count());
        let lanes = MARGIN + spacing * story.lanes.len().max(1) + MARGIN;
        Self {
            svg: String::new(),
            words: String::new(),
            spacing,
            width: lanes.max(2 * MARGIN + ending * (LETTER + 2)),
            height: y + if ending > 0 { 2 * ROW } else { 0 },
            rows,
        }
    }

    fn x(&self, lane: Lane) -> usize {
        MARGIN + self.spacing / 2 + self.spacing * lane
    }

    fn y(&self, row: usize) -> usize {
        self.rows.get(row).copied().unwrap_or(HEADER)
    }

    fn put(&mut self, element: &str) {
        self.svg.push_str(element);
        self.svg.push('\n');
    }

    fn head(&mut self, story: &Story) {
        let (width, height) = (self.width, self.height);
        // Fits itself into a page as long as it can still be read.
        let least = width * 7 / 10;
        self.put(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lockstep\" role=\"img\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             style=\"max-width:100%;min-width:{least}px;height:auto\">"
        ));
        self.put("<title>Sequence diagram</title>");
        self.put(&format!("<style>{STYLE}</style>"));
        self.put(
            "<defs><marker id=\"lockstep-head\" class=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" \
             refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
             <path d=\"M0,0 L8,4 L0,8 Z\"/></marker></defs>",
        );
        self.put(&format!(
            "<rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
        ));
        for (lane, name) in story.lanes.iter().enumerate() {
            let x = self.x(lane);
            self.text(x, 22, "name", "middle", name);
            if let Some(role) = story.roles.get(lane) {
                self.text(x, 38, "faint", "middle", role);
            }
        }
    }

    /// Each lane's line, dashed from a crash to the restart.
    fn lifelines(&mut self, story: &Story) {
        let last = story
            .rows
            .last()
            .map_or(0, |marks| marks.len().saturating_sub(1));
        let bottom = self
            .rows
            .last()
            .map_or(HEADER, |&y| y + ROW / 2 + EXTRA * last);
        for lane in 0..story.lanes.len() {
            let (mut from, mut class) = (HEADER - 14, "life");
            for (row, marks) in story.rows.iter().enumerate() {
                for mark in marks {
                    let next = match mark {
                        Mark::Crash { lane: of, .. } if *of == lane => "down",
                        Mark::Restart { lane: of } if *of == lane => "life",
                        _ => continue,
                    };
                    self.lifeline(lane, from, self.y(row), class);
                    (from, class) = (self.y(row), next);
                }
            }
            self.lifeline(lane, from, bottom, class);
        }
    }

    fn lifeline(&mut self, lane: Lane, from: usize, to: usize, class: &str) {
        let x = self.x(lane);
        self.put(&format!(
            "<line class=\"{class}\" x1=\"{x}\" y1=\"{from}\" x2=\"{x}\" y2=\"{to}\"/>"
        ));
    }

    fn row(&mut self, row: usize, marks: &[Mark]) {
        let y = self.y(row);
        if row > 0 {
            self.text(MARGIN - 14, y + 4, "faint", "end", &row.to_string());
        }
        for (place, mark) in marks.iter().enumerate() {
            self.mark(y + EXTRA * place, mark);
        }
    }

    fn mark(&mut self, y: usize, mark: &Mark) {
        match mark {
            Mark::Arrow {
                from,
                to,
                sent,
                label,
                is_lost,
            } => {
                // A message of this very row starts beside its own mark, not the row's first.
                let start = self.y(*sent).min(y);
                let start = if self.y(*sent) + ROW > y { y } else { start };
                self.arrow((*from, start), (*to, y), label, *is_lost);
            }
            Mark::Note { lane, label } => {
                self.dot(*lane, y);
                self.beside(*lane, y, label);
            }
            Mark::Timer { lane, label } => self.timer(*lane, y, label),
            Mark::Crash { lane, label } => {
                let x = self.x(*lane);
                self.cross(x, y);
                self.beside(*lane, y, label);
            }
            Mark::Restart { lane } => {
                let x = self.x(*lane);
                self.put(&format!(
                    "<circle class=\"good\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>"
                ));
                self.beside(*lane, y, "restarts");
            }
            Mark::Role { lane, name } => self.role(*lane, y, name),
            Mark::Everywhere { label } => {
                let right = self.width - MARGIN;
                self.put(&format!(
                    "<line class=\"down\" x1=\"{MARGIN}\" y1=\"{y}\" x2=\"{right}\" y2=\"{y}\"/>"
                ));
                self.text(MARGIN + GAP, y - 5, "label", "start", label);
            }
        }
    }

    /// An arrow with its label; of a lost message the first half.
    fn arrow(&mut self, from: (Lane, usize), to: (Lane, usize), label: &str, is_lost: bool) {
        if from.0 == to.0 {
            self.loop_back(to.0, from.1, to.1, label);
            return;
        }
        let (x1, x2) = (self.x(from.0), self.x(to.0));
        let (y1, y2) = (from.1, to.1);
        if is_lost {
            let (x, y) = (x1.midpoint(x2), y1.midpoint(y2));
            self.put(&format!(
                "<line class=\"arrow lost\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x}\" y2=\"{y}\"/>"
            ));
            self.cross(x, y);
        } else {
            self.put(&format!(
                "<line class=\"arrow\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" \
                 marker-end=\"url(#lockstep-head)\"/>"
            ));
        }
        self.along((x1, y1), (x2, y2), label);
    }

    /// A label along an arrow, above its head. Where the arrow is steep it would be hard to
    /// read: there it hangs level below the head.
    fn along(&mut self, from: (usize, usize), to: (usize, usize), label: &str) {
        // The other end is left free: labels of other arrows begin there.
        let room = (from.0.abs_diff(to.0) * 5 / 6 - GAP) / LETTER;
        let to_the_right = from.0 < to.0;
        let (x, anchor) = if to_the_right {
            (to.0 - GAP, "end")
        } else {
            (to.0 + GAP, "start")
        };
        let slope = to.1.abs_diff(from.1) as f64 / from.0.abs_diff(to.0) as f64;
        if slope > STEEPEST {
            self.label(x, to.1 + 14, anchor, label, room);
            return;
        }
        let above = (slope * GAP as f64).round() as usize + 4;
        let degrees = slope.atan().to_degrees();
        let degrees = if to_the_right { degrees } else { -degrees };
        let _ = write!(
            self.words,
            "<g transform=\"rotate({degrees:.1} {x} {})\">",
            to.1 - above
        );
        self.label(x, to.1 - above, anchor, label, room);
        self.words.push_str("</g>");
    }

    fn loop_back(&mut self, lane: Lane, from: usize, to: usize, label: &str) {
        let x = self.x(lane);
        let (from, bulge) = (from.min(to - ROW / 2), x + 2 * GAP);
        self.put(&format!(
            "<path class=\"arrow\" d=\"M{x},{from} C{bulge},{from} {bulge},{to} {x},{to}\" \
             marker-end=\"url(#lockstep-head)\"/>"
        ));
        self.label(x + GAP, to + 14, "start", label, self.spacing / LETTER);
    }

    fn timer(&mut self, lane: Lane, y: usize, label: &str) {
        let x = self.x(lane);
        let top = y - 4;
        self.put(&format!(
            "<g class=\"timer\"><circle cx=\"{x}\" cy=\"{y}\" r=\"6\"/>\
             <path d=\"M{x},{top} V{y} h3\"/></g>"
        ));
        // Above the messages that leave from here.
        self.beside(lane, y - 6, label);
    }

    fn cross(&mut self, x: usize, y: usize) {
        let (left, right, top, bottom) = (x - 6, x + 6, y - 6, y + 6);
        self.put(&format!(
            "<path class=\"bad\" d=\"M{left},{top} L{right},{bottom} M{left},{bottom} \
             L{right},{top}\"/>"
        ));
    }

    fn dot(&mut self, lane: Lane, y: usize) {
        let x = self.x(lane);
        self.put(&format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\"/>"));
    }

    fn role(&mut self, lane: Lane, y: usize, name: &str) {
        let x = self.x(lane);
        let width = name.chars().count() * (LETTER + 1) + GAP;
        let (left, top) = (x - width / 2, y - 3);
        let _ = writeln!(
            self.words,
            "<rect class=\"role\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"16\" \
             rx=\"8\"/>"
        );
        self.text(x, y + 9, "", "middle", name);
    }

    /// Words to the right of a lifeline.
    fn beside(&mut self, lane: Lane, y: usize, label: &str) {
        let x = self.x(lane) + GAP;
        let room = (self.width.saturating_sub(x) / LETTER).min(self.spacing / LETTER);
        self.label(x, y + 4, "start", label, room);
    }

    /// A label, cut short where there is no room; all of it is in its tooltip.
    fn label(&mut self, x: usize, y: usize, anchor: &str, label: &str, room: usize) {
        if label.chars().count() <= room {
            self.text(x, y, "label", anchor, label);
            return;
        }
        let short: String = label.chars().take(room.saturating_sub(1)).collect();
        let _ = writeln!(
            self.words,
            "<text class=\"label\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}…\
             <title>{}</title></text>",
            escaped(short.trim_end()),
            escaped(label)
        );
    }

    fn text(&mut self, x: usize, y: usize, class: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.words,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn foot(&mut self, story: &Story) {
        if let Some(ending) = &story.ending {
            let y = self.height - ROW;
            let right = self.width - MARGIN;
            self.put(&format!(
                "<path class=\"bad\" d=\"M{MARGIN},{y} H{right}\"/>"
            ));
            self.text(MARGIN, y + 20, "end", "start", ending);
        }
        self.svg.push_str(&self.words);
        self.put("</svg>");
    }
}

/// How far apart the lanes are: far enough for the labels between neighbours.
fn spacing(story: &Story) -> usize {
    let labels = story.rows.iter().flatten().map(|mark| match mark {
        Mark::Arrow {
            from, to, label, ..
        } => label.chars().count() / from.abs_diff(*to).max(1),
        Mark::Note { label, .. } | Mark::Timer { label, .. } | Mark::Crash { label, .. } => {
            label.chars().count()
        }
        Mark::Restart { .. } | Mark::Role { .. } | Mark::Everywhere { .. } => 0,
    });
    let longest = labels.max().unwrap_or_default();
    (longest.min(LONGEST) * LETTER * 5 / 4 + 3 * GAP).max(130)
}

/// The text as XML writes it. Control characters have no place in XML at all.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
