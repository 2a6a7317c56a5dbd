// RUN: headrace-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{expected 3 worker timelines but got 2}}
sched.program @count of @main workers 3 {
  timeline @core[w : 2] {
  }
}

// -----

sched.program @names of @main workers 1 {
  arena @dram
  // expected-error @+1 {{the name @dram is taken}}
  arena @dram
  timeline @core[w : 1] {
  }
}

// -----

sched.program @scratch of @main workers 1 scratch 64 {
  // expected-error @+1 {{needs 128 bytes of scratch but the program has 64}}
  stage @A grid [1] operands [] scratch 128
  timeline @core[w : 1] {
  }
}

// -----

sched.program @input_in_arena of @main workers 1 {
  arena @dram
  // expected-error @+1 {{only a temp lies in an arena}}
  %x = buffer input 0 [4] f32 at @dram + 0
  timeline @core[w : 1] {
  }
}

// -----

sched.program @no_arena of @main workers 1 {
  // expected-error @+1 {{no arena is named @dram}}
  %x = buffer temp [4] f32 at @dram + 0
  timeline @core[w : 1] {
  }
}

// -----

sched.program @unknown_symbol of @main workers 1 {
  // expected-error @+1 {{dimension 's0' uses the unknown symbol 's0'}}
  %x = buffer temp [s0] f32
  timeline @core[w : 1] {
  }
}

// -----

sched.program @no_stride of @main workers 1 {
  arena @dram = 128
  // expected-error @+1 {{expected a stride between 2 slots}}
  %x = buffer temp slots 2 [4] f32 at @dram + 0
  timeline @core[w : 1] {
  }
}

// -----

sched.program @read_back of @main workers 1 {
  // expected-error @+1 {{only a state can be read back}}
  %x = buffer temp [4] f32 read_back
  timeline @core[w : 1] {
  }
}

// -----

sched.program @footprint of @main workers 1 {
  // expected-error @+1 {{footprint of operand 0 maps 1 coordinates and 0 symbols, expected 2 and 0}}
  stage @A grid [2, 2] operands [read (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
  }
}

// -----

sched.program @no_stage of @main workers 1 {
  timeline @core[w : 1] {
    // expected-error @+1 {{no stage is named @A}}
    run @A tiles [0, 1) ()
  }
}

// -----

sched.program @operands of @main workers 1 {
  %x = buffer temp [4] f32
  // expected-note @+1 {{the stage}}
  stage @A grid [1] operands [read whole, write whole]
  timeline @core[w : 1] {
    // expected-error @+1 {{expected 2 operands but got 1}}
    run @A tiles [0, 1) (%x)
  }
}

// -----

sched.program @rank of @main workers 1 {
  %x = buffer temp [4, 4] f32
  stage @A grid [4] operands [write (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
    // expected-error @+1 {{operand 0 has 2 dimensions but the stage's footprint has 1}}
    run @A tiles [0, 4) (-> %x)
  }
}

// -----

sched.program @slot of @main workers 1 {
  // expected-note @+1 {{the buffer}}
  %x = buffer temp slots 2 [4] f32
  stage @A grid [1] operands [write whole]
  timeline @core[w : 1] {
    repeat 4 (i) {
      // expected-error @+1 {{slot 'i' is in [0, 3], expected [0, 1]}}
      run @A tiles [0, 1) (-> %x[i])
    }
  }
}

// -----

sched.program @writes_constant of @main workers 1 {
  %x = buffer const [@c] [4] f32
  stage @A grid [1] operands [write whole]
  timeline @core[w : 1] {
    // expected-error @+1 {{operand 0 is written, but it is a constant}}
    run @A tiles [0, 1) (-> %x)
  }
}

// -----

sched.program @unknown_index of @main workers 1 {
  stage @A grid [4] operands []
  timeline @core[w : 1] {
    // expected-error @+1 {{tile '4 * v' uses the unknown symbol 'v'}}
    run @A tiles [4 * v, 4) ()
  }
}

// -----

sched.program @copy_types of @main workers 1 {
  %x = buffer temp [4] f32
  %y = buffer temp [4] i32
  timeline @core[w : 1] {
    // expected-error @+1 {{element types differ: 'f32' and 'i32'}}
    copy %x from [0] -> %y from [0] extent [4]
  }
}

// -----

sched.program @no_timeline of @main workers 1 {
  timeline @core[w : 1] {
    // expected-error @+1 {{no timeline is named @dma}}
    wait @dma[0] >= 1
  }
}

// -----

sched.program @too_many of @main workers 2 {
  stage @A grid [2] operands []
  timeline @core[w : 2] {
    run @A tiles [w, w + 1) ()
    // expected-error @+1 {{waits for 2 signals of @core, which gives only 1}}
    wait @core[1 - w] >= 2
  }
}

// -----

sched.program @taken of @main workers 1 {
  timeline @core[w : 1] {
    // expected-error @+1 {{the name 'w' is taken}}
    repeat 2 (w) {
    }
  }
}

// -----

sched.program @depth of @main workers 1 {
  // expected-error @+1 {{expression nests more than 64 deep}}
  arena @dram = ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
  timeline @core[w : 1] {
  }
}

// -----

// expected-error @+1 {{says from how much work it is taken but not what work is}}
sched.program @from_what of @main workers 1 from 5 {
  timeline @core[w : 1] {
  }
}

// -----

// expected-error @+1 {{work depends on the unknown size 'n'}}
sched.program @unknown_size of @main workers 1 work 2 * n + 1 from 5 {
  timeline @core[w : 1] {
  }
}

// -----

sched.program @keeps of @main workers 1 {
  // expected-error @+1 {{keeps operand 0, which it does not write}}
  stage @A grid [1] operands [read whole, write whole] keeps [0]
  timeline @core[w : 1] {
  }
}
