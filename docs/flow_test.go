package docs

import (
	"flag"
	"fmt"
	"html"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/flow.svg anew")

// Sizes in pixels. A box is boxWidth by boxHeight; gapX and gapY are for the arrows.
const (
	boxWidth, boxHeight = 178, 72
	gapX, gapY          = 46, 48
	margin              = 26
	lineHeight          = 17
)

// style has both themes. The background is drawn, so that the picture is legible
// where a page has another theme than the reader's system.
const style = `<style>
text { font-family: -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 13px; text-anchor: middle; fill: #57606a }
.title { font-weight: 600; fill: #1f2328 }
rect { stroke: #57606a }
.back { fill: #ffffff; stroke: none }
.step { fill: #ddf4ff }
.topic { fill: #fff8c5 }
.outside { fill: #f6f8fa; stroke-dasharray: 4 3 }
.frame { fill: none; stroke-dasharray: 2 4 }
path { fill: none; stroke: #57606a; stroke-width: 1.5 }
.head { fill: #57606a; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #adbac7 }
.title { fill: #e6edf3 }
rect, path { stroke: #8b949e }
.back { fill: #0d1117; stroke: none }
.step { fill: #12314f }
.topic { fill: #3d3000 }
.outside { fill: #21262d }
.head { fill: #8b949e; stroke: none }
}
</style>
<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker>
`

// box is one of the picture. x and y are its upper left corner.
type box struct{ column, row, x, y int }

func at(column, row int) box {
	return box{column, row, margin + column*(boxWidth+gapX), margin + row*(boxHeight+gapY)}
}

func (b box) centre() (x, y int) { return b.x + boxWidth/2, b.y + boxHeight/2 }

// draw makes the picture of a source such as flow.txt.
func draw(source string) (string, error) {
	boxes := map[string]box{}
	var body strings.Builder
	right, bottom := 0, 0
	number := 0
	for line := range strings.Lines(source) {
		number++
		head, text, _ := strings.Cut(strings.TrimSpace(line), "|")
		words := strings.Fields(head)
		if len(words) == 0 || strings.HasPrefix(head, "#") {
			continue
		}
		var err error
		switch {
		case words[0] == "frame" && len(words) == 5:
			var n [4]int
			for i := range n {
				if n[i], err = strconv.Atoi(words[1+i]); err != nil {
					return "", fmt.Errorf("line %d: %w", number, err)
				}
			}
			from, to := at(n[0], n[1]), at(n[2], n[3])
			x, y, width := from.x-14, from.y-14, to.x+boxWidth+14-(from.x-14)
			fmt.Fprintf(&body, `<rect class="frame" x="%d" y="%d" width="%d" height="%d" rx="10"/>`+"\n", x, y, width, to.y+boxHeight+14-y)
			fmt.Fprintf(&body, `<text x="%d" y="%d">%s</text>`+"\n", to.x+boxWidth/2, to.y+boxHeight-2, html.EscapeString(strings.TrimSpace(text)))
		case words[0] == "box" && len(words) == 5:
			column, failed := strconv.Atoi(words[2])
			row, err := strconv.Atoi(words[3])
			if failed != nil || err != nil {
				return "", fmt.Errorf("line %d: a column and a row are numbers", number)
			}
			b := at(column, row)
			boxes[words[1]] = b
			right, bottom = max(right, b.x+boxWidth), max(bottom, b.y+boxHeight)
			radius := 6
			if words[4] == "topic" {
				radius = boxHeight / 2
			}
			fmt.Fprintf(&body, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`+"\n", words[4], b.x, b.y, boxWidth, boxHeight, radius)
			lines := strings.Split(text, "|")
			x, y := b.centre()
			y += 5 - (len(lines)-1)*lineHeight/2
			for i, l := range lines {
				class := ""
				if i == 0 {
					class = ` class="title"`
				}
				fmt.Fprintf(&body, `<text%s x="%d" y="%d">%s</text>`+"\n", class, x, y+i*lineHeight, html.EscapeString(strings.TrimSpace(l)))
			}
		case words[0] == "arrow" && len(words) == 3:
			from, ok := boxes[words[1]]
			to, there := boxes[words[2]]
			if !ok || !there {
				return "", fmt.Errorf("line %d: an arrow between boxes that do not stand above it", number)
			}
			arrow(&body, from, to, html.EscapeString(strings.TrimSpace(text)))
		default:
			return "", fmt.Errorf("line %d: %q is no box, arrow or frame", number, words[0])
		}
	}
	width, height := right+margin, bottom+margin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="The flow of one event">`+"\n", width, height, width, height) +
		style + fmt.Sprintf(`<rect class="back" width="%d" height="%d"/>`+"\n", width, height) + body.String() + "</svg>\n", nil
}

// arrow draws one: straight within a row or a column, in three parts on its way down,
// in two on its way up.
func arrow(body *strings.Builder, from, to box, label string) {
	x1, y1 := from.centre()
	x2, _ := to.centre()
	path, labelX, labelY := "", 0, 0
	switch {
	case from.row == to.row:
		x1, x2 = from.x+boxWidth, to.x-1
		path, labelX, labelY = fmt.Sprintf("M%d %d H%d", x1, y1, x2), (x1+x2)/2, y1-6
	case from.column == to.column && from.row < to.row:
		path, labelX, labelY = fmt.Sprintf("M%d %d V%d", x1, from.y+boxHeight, to.y-1), x1+28, (from.y+boxHeight+to.y)/2+5
	case from.column == to.column:
		path, labelX, labelY = fmt.Sprintf("M%d %d V%d", x1, from.y, to.y+boxHeight+1), x1+28, (from.y+to.y+boxHeight)/2+5
	case from.row < to.row:
		middle := from.y + boxHeight + gapY/2 - 4
		path, labelX, labelY = fmt.Sprintf("M%d %d V%d H%d V%d", x1, from.y+boxHeight, middle, x2, to.y-1), (x1+x2)/2, middle-6
	default:
		path, labelX, labelY = fmt.Sprintf("M%d %d H%d V%d", from.x, y1, x2, to.y+boxHeight+1), (from.x+x2)/2, y1-6
	}
	fmt.Fprintf(body, `<path d="%s" marker-end="url(#head)"/>`+"\n", path)
	if label != "" {
		fmt.Fprintf(body, `<text x="%d" y="%d">%s</text>`+"\n", labelX, labelY, label)
	}
}

// docs/flow.svg is drawn: go test ./docs -run Flow -args -update.
func TestFlowIsUpToDate(t *testing.T) {
	source, err := os.ReadFile("flow.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := draw(string(source))
	if err != nil {
		t.Fatalf("docs/flow.txt: %v", err)
	}
	if *update {
		if err := os.WriteFile("flow.svg", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("flow.svg")
	if err != nil || string(got) != want {
		t.Errorf("docs/flow.svg is not what docs/flow.txt says (%v): run make generate", err)
	}
}
