// RUN: headrace-opt %s --split-input-file --verify-diagnostics

// Plans and footprints come in files, too: each field is checked where it is read.

#nest = #hr.nest<vector = 1, vectors = 3, row = 0, rows = 8, block = 512, group = 2, packed = [1], atom = <instruction = "x86.vdpbf16ps", m = 1, n = 16, k = 2, fragments = false>>
func.func @right() attributes {
  plan = #hr.plan<tile = [32, 0, 0], lanes = 16, stream = 128, nests = [#nest], nanoseconds = 120000, runner_up = "">,
  print = #hr.footprint<(d0, d1) -> (d0 * 32, 0), [#hr.size<"32">, #hr.size<"s0">]>,
  whole = #hr.footprint<(d0) -> (), [] touching #hr.size<"12288">>
} { return }

// -----

// expected-error @+1 {{a plan has tiles of -1}}
func.func @tile() attributes {x = #hr.plan<tile = [32, -1], lanes = 16, stream = 128, nests = [], nanoseconds = 0, runner_up = "">} { return }

// -----

// expected-error @+1 {{a plan has 0 lanes, expected a power of two up to 1024}}
func.func @lanes() attributes {x = #hr.plan<tile = [], lanes = 0, stream = 128, nests = [], nanoseconds = 0, runner_up = "">} { return }

// -----

// expected-error @+1 {{a plan streams blocks of 0}}
func.func @stream() attributes {x = #hr.plan<tile = [], lanes = 8, stream = 0, nests = [], nanoseconds = 0, runner_up = "">} { return }

// -----

// expected-error @+1 {{expected nests of type #hr.nest but got 3}}
func.func @nests() attributes {x = #hr.plan<tile = [], lanes = 8, stream = 128, nests = [3], nanoseconds = 0, runner_up = "">} { return }

// -----

// expected-error @+1 {{a nest has row = -2, expected the number of a loop or -1}}
func.func @row() attributes {x = #hr.nest<vector = 1, vectors = 1, row = -2, rows = 1, block = 0>} { return }

// -----

// expected-error @+1 {{a nest takes one loop twice: vector = 1, row = 1, group = -1}}
func.func @twice() attributes {x = #hr.nest<vector = 1, vectors = 1, row = 1, rows = 1, block = 0>} { return }

// -----

// expected-error @+1 {{a nest has vectors = 0, expected 1 to 1024}}
func.func @vectors() attributes {x = #hr.nest<vector = 1, vectors = 0, row = 0, rows = 1, block = 0>} { return }

// -----

// expected-error @+1 {{a nest sums blocks of -5}}
func.func @block() attributes {x = #hr.nest<vector = 1, vectors = 1, row = 0, rows = 1, block = -5>} { return }

// -----

// expected-error @+1 {{a nest packs operand 2, expected 0 and 1, each once}}
func.func @packed() attributes {x = #hr.nest<vector = 1, vectors = 1, row = 0, rows = 1, block = 0, packed = [2]>} { return }

// -----

// expected-error @+1 {{a nest of an atom needs a vector and a group}}
func.func @group() attributes {x = #hr.nest<vector = 1, vectors = 1, row = 0, rows = 1, block = 0, atom = <instruction = "a", m = 1, n = 16, k = 2, fragments = false>>} { return }

// -----

// expected-error @+1 {{an atom is 1 x 0 x 2, expected 1 to 1024 of each}}
func.func @atom() attributes {x = #hr.atom<instruction = "a", m = 1, n = 0, k = 2, fragments = false>} { return }

// -----

// expected-error @+1 {{a footprint begins at 1 indices but has 2 extents}}
func.func @extents() attributes {x = #hr.footprint<(d0) -> (d0), [#hr.size<"32">, #hr.size<"8">]>} { return }

// -----

// expected-error @+1 {{expected extents of type #hr.size but got 32}}
func.func @extent_type() attributes {x = #hr.footprint<(d0) -> (d0), [32]>} { return }

// -----

// expected-error @+1 {{a footprint has the extent -1}}
func.func @negative() attributes {x = #hr.footprint<(d0) -> (d0), [#hr.size<"-1">]>} { return }

// -----

// expected-error @+1 {{the origin of a footprint is a map of the tile's coordinates alone, but has 1 symbols}}
func.func @symbols() attributes {x = #hr.footprint<(d0)[s0] -> (d0 + s0), [#hr.size<"1">]>} { return }

// -----

#first = affine_map<(i) -> (0)>
#all = #hr.footprint<(d0) -> (0), [#hr.size<"8">]>
func.func @written_input() {
  %a = hr.buffer input number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  // expected-error @+1 {{operand 0 is written, but it is an input}}
  hr.run @f grid [#hr.size<"1">] (%a) access [#hr<access write>] slots [#first] footprints [#all] symbols [] : !hr.buffer<f32>
  return
}

// -----

#none = affine_map<(i) -> ()>
#all = #hr.footprint<(d0) -> (0), [#hr.size<"8">]>
func.func @slot() {
  %a = hr.buffer output number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  // expected-error @+1 {{the slot of operand 0 is not one map of the iteration}}
  hr.run @f grid [#hr.size<"1">] (%a) access [#hr<access write>] slots [#none] footprints [#all] symbols [] : !hr.buffer<f32>
  return
}

// -----

func.func @loop() {
  // expected-error @+1 {{expected at least one iteration but got 0}}
  hr.loop 0 {
  }
  return
}

// -----

func.func @loop_body() {
  hr.loop 2 {
    // expected-error @+1 {{is not a run, and a loop has no other place for it}}
    %a = hr.buffer output number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  }
  return
}

// -----

func.func private @origin() attributes {hr.origin = #hr.origin<
    plan = #hr.plan<tile = [8], lanes = 8, stream = 128, nests = [], nanoseconds = 0, runner_up = "">,
    contractions = [#hr.contraction<f32, f32 -> f32, #hr.size<"2 * s0">>],
    sources = [loc("model.py":12:0)]>}

// -----

// expected-error @+1 {{expected 'hr.origin' to be an #hr.origin but got 3}}
func.func private @kind() attributes {hr.origin = 3}

// -----

func.func @place() {
  // expected-error @+1 {{'hr.origin' belongs on the function of a stage}}
  return {hr.origin = 3}
}

// -----

// expected-error @+1 {{expected contractions of type #hr.contraction but got 3}}
func.func private @contractions() attributes {hr.origin = #hr.origin<plan = #hr.plan<tile = [8], lanes = 8, stream = 128, nests = [], nanoseconds = 0, runner_up = "">, contractions = [3], sources = []>}

// -----

// expected-error @+1 {{expected locations as sources but got 3}}
func.func private @sources() attributes {hr.origin = #hr.origin<plan = #hr.plan<tile = [8], lanes = 8, stream = 128, nests = [], nanoseconds = 0, runner_up = "">, contractions = [], sources = [3]>}
