package local

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

func TestMarkKeepsTheNewest(t *testing.T) {
	mem := vfs.NewMem()
	must(t, createMark(mem, "mark", position{sequence: 7, records: 3}))
	var last position
	for i := range uint64(5) {
		m, err := openMark(mem, "mark", position{sequence: 10 * (i + 1)})
		must(t, err)
		for j := range i + 1 {
			last = position{sequence: 10*(i+1) + j, records: j}
			must(t, m.write(last))
		}
		must(t, m.close())
		if p, _, err := readMark(mem, "mark"); err != nil || p != last {
			t.Fatalf("read %+v, %v; written %+v", p, err, last)
		}
	}
}

// Without a sync a crash of the machine may leave an older mark, never a newer one;
// one flipped or cut slot leaves the other.
func TestMarkWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mem := vfs.NewCrashableMem()
		must(t, createMark(mem, "mark", position{}))
		must(t, syncDir(mem, ""))
		m, err := openMark(mem, "mark", position{})
		must(t, err)
		n := rapid.Uint64Range(1, 9).Draw(rt, "writes")
		for i := range n {
			must(t, m.write(position{sequence: i + 1}))
		}
		p, _, err := readMark(mem.CrashClone(vfs.CrashCloneCfg{}), "mark")
		if err != nil || p.sequence > n {
			rt.Fatalf("after a crash: %+v, %v", p, err)
		}
		must(t, m.close())

		at := rapid.Int64Range(0, 2*slotSpace-1).Draw(rt, "at")
		bit := byte(1) << rapid.IntRange(0, 7).Draw(rt, "bit")
		f, err := mem.OpenReadWrite("mark", vfs.WriteCategoryUnspecified)
		must(t, err)
		b := make([]byte, 1)
		_, err = f.ReadAt(b, at)
		must(t, err)
		b[0] ^= bit
		_, err = f.WriteAt(b, at)
		must(t, err)
		must(t, f.Close())
		if p, _, err = readMark(mem, "mark"); err != nil || p.sequence != n && p.sequence != n-1 {
			rt.Fatalf("after a flip at %d: %+v, %v; written up to %d", at, p, err, n)
		}
	})
}

func TestMarkWithoutAWholeSlot(t *testing.T) {
	mem := vfs.NewMem()
	_, err := openMark(mem, "mark", position{})
	if !errors.Is(err, errNoMark) {
		t.Errorf("missing: %v", err)
	}
	f, err := mem.Create("mark", vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(make([]byte, 2*slotSpace))
	must(t, err)
	must(t, f.Close())
	if _, err = openMark(mem, "mark", position{}); !errors.Is(err, errNoMark) {
		t.Errorf("zeros: %v", err)
	}
}

// With broker.sync false a crash of the machine leaves a mark that is ahead. What is
// written then must count, although it is behind.
func TestMarkIsSetBack(t *testing.T) {
	mem := vfs.NewMem()
	must(t, createMark(mem, "mark", position{sequence: 100, unsynced: true}))
	m, err := openMark(mem, "mark", position{sequence: 40, unsynced: true})
	must(t, err)
	must(t, m.write(position{sequence: 41, unsynced: true}))
	must(t, m.close())
	if p, _, err := readMark(mem, "mark"); err != nil || p.sequence != 41 {
		t.Errorf("%+v, %v", p, err)
	}
}
