package local

import (
	"fmt"
	"strings"

	"eventserver/infra"
)

// Report is the result of a repair.
type Report struct {
	From, To string
	Files    []FileDamage  // of From, that cannot be read whole
	Topics   []TopicReport // those that were copied
	// LostRecords is the number of lost records that Topics does not name: the last ones of
	// partitions. It is unknown of which partitions.
	LostRecords uint64
	// LostWrites is the number of last writes that are lost: records, progress, trims.
	LostWrites uint64
	// NoMark: the mark cannot be read, so it is unknown whether the last writes are there.
	NoMark bool
}

// TopicReport is the report of a copied topic.
type TopicReport struct {
	Name    string
	Unnamed bool // its name is lost; it was given one
	Records int64
	Lost    []Loss
}

// Loss is a range of unreadable records.
type Loss struct {
	Partition int32
	Offsets   infra.Span
	// OrTrimmed: the begin of the partition cannot be read, so the first of these records
	// may have been trimmed as usual.
	OrTrimmed bool
}

func (r *Report) add(t *topicRepair) {
	report := TopicReport{Name: t.name, Unnamed: t.unnamed}
	for n := range t.partitions {
		p := t.part(n)
		report.Records += p.records
		for _, lost := range p.lost {
			report.Lost = append(report.Lost, Loss{n, lost, !p.bounded && lost.From == 0})
		}
	}
	r.Topics = append(r.Topics, report)
}

// Whole reports whether no loss is known.
func (r *Report) Whole() bool {
	for _, t := range r.Topics {
		if len(t.Lost) > 0 || t.Unnamed {
			return false
		}
	}
	return r.LostRecords == 0 && r.LostWrites == 0 && !r.NoMark
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&b, "damaged: %s: %v\n", f.File, f.Err)
	}
	for _, t := range r.Topics {
		fmt.Fprintf(&b, "copied: topic %s, %d records\n", t.Name, t.Records)
		if t.Unnamed {
			b.WriteString("  its name is lost: it was called otherwise\n")
		}
		for _, l := range t.Lost {
			note := ""
			if l.OrTrimmed {
				note = ", or the first of them were trimmed before"
			}
			fmt.Fprintf(&b, "  LOST: partition %d, offsets %d to %d%s\n", l.Partition, l.Offsets.From, l.Offsets.To-1, note)
		}
	}
	if r.LostRecords > 0 {
		fmt.Fprintf(&b, "LOST: %d more records, the last ones of some partitions; nobody can tell of which\n", r.LostRecords)
	}
	if r.LostWrites > 0 {
		fmt.Fprintf(&b, "LOST: the last %d writes: records, which are counted above, or progress\n", r.LostWrites)
	}
	if r.NoMark {
		b.WriteString("what was stored last may be lost: the file mark, which would tell, cannot be read\n")
	}
	if r.Whole() {
		b.WriteString("nothing is lost\n")
	} else {
		b.WriteString("progress that was lost with it begins where it was last known: some events are delivered again\n")
	}
	return b.String()
}
