// y = 2 x w for f32 [s0, 16], for one worker and for two that meet in the
// middle: each computes rows of y from rows of the temporary that the other
// wrote. The weights are counting numbers; see make_weights.py.
module attributes {hr.weights_file = "model.safetensors"} {
  hr.weight @w : tensor<16x16xf32>
  func.func private @main(tensor<?x16xf32> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"16">]}) -> (tensor<?x16xf32> {hr.name = "y", hr.dims = [#hr.size<"s0">, #hr.size<"16">]}) attributes {hr.entry, hr.symbols = [#hr.symbol<"s0", 1, 64>]}
  func.func private @scale(%lo: index, %hi: index, %scratch: memref<?xi8>, %context: memref<?xi8>, %x: memref<?xf32>, %y: memref<?xf32>, %s0: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c16 = arith.constant 16 : index
    %two = arith.constant 2.0 : f32
    scf.for %t = %lo to %hi step %c1 {
      %r0 = arith.muli %t, %c4 : index
      %r1 = arith.addi %r0, %c4 : index
      %r2 = arith.minsi %r1, %s0 : index
      scf.for %r = %r0 to %r2 step %c1 {
        scf.for %c = %c0 to %c16 step %c1 {
          %o = arith.muli %r, %c16 : index
          %i = arith.addi %o, %c : index
          %v = memref.load %x[%i] : memref<?xf32>
          %d = arith.mulf %v, %two : f32
          memref.store %d, %y[%i] : memref<?xf32>
        }
      }
    }
    return
  }
  func.func private @mm(%lo: index, %hi: index, %scratch: memref<?xi8>, %context: memref<?xi8>, %x: memref<?xf32>, %w: memref<?xf32>, %y: memref<?xf32>, %s0: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c16 = arith.constant 16 : index
    %zero = arith.constant dense<0.0> : vector<16xf32>
    scf.for %t = %lo to %hi step %c1 {
      %r0 = arith.muli %t, %c4 : index
      %r1 = arith.addi %r0, %c4 : index
      %r2 = arith.minsi %r1, %s0 : index
      scf.for %r = %r0 to %r2 step %c1 {
        %o = arith.muli %r, %c16 : index
        %acc = scf.for %k = %c0 to %c16 step %c1 iter_args(%a = %zero) -> vector<16xf32> {
          %i = arith.addi %o, %k : index
          %v = memref.load %x[%i] : memref<?xf32>
          %b = vector.broadcast %v : f32 to vector<16xf32>
          %wk = arith.muli %k, %c16 : index
          %wv = vector.load %w[%wk] : memref<?xf32>, vector<16xf32>
          %f = vector.fma %b, %wv, %a : vector<16xf32>
          scf.yield %f : vector<16xf32>
        }
        vector.store %acc, %y[%o] : memref<?xf32>, vector<16xf32>
      }
    }
    return
  }
  sched.program @main_1 of @main workers 1 symbols [#hr.symbol<"s0", 1, 64>] {
    arena @dram = 64 * s0
    %x = buffer input 0 [s0, 16] f32
    %w = buffer const [@w] [16, 16] f32
    %h = buffer temp [s0, 16] f32 at @dram + 0
    %y = buffer output 0 [s0, 16] f32
    stage @scale grid [(s0 + 3) floordiv 4] operands [
      read (d0) -> (d0 * 4, 0) by [4, 16],
      write (d0) -> (d0 * 4, 0) by [4, 16]] symbols ["s0"]
    stage @mm grid [(s0 + 3) floordiv 4] operands [
      read (d0) -> (d0 * 4, 0) by [4, 16], read whole,
      write (d0) -> (d0 * 4, 0) by [4, 16]] symbols ["s0"]
    timeline @core[w : 1] {
      run @scale tiles [0, (s0 + 3) floordiv 4) (%x -> %h)
      run @mm tiles [0, (s0 + 3) floordiv 4) (%h, %w -> %y)
    }
  }
  sched.program @main_2 of @main workers 2 symbols [#hr.symbol<"s0", 1, 64>] {
    arena @dram = 64 * s0
    %x = buffer input 0 [s0, 16] f32
    %w = buffer const [@w] [16, 16] f32
    %h = buffer temp [s0, 16] f32 at @dram + 0
    %y = buffer output 0 [s0, 16] f32
    stage @scale grid [(s0 + 3) floordiv 4] operands [
      read (d0) -> (d0 * 4, 0) by [4, 16],
      write (d0) -> (d0 * 4, 0) by [4, 16]] symbols ["s0"]
    stage @mm grid [(s0 + 3) floordiv 4] operands [
      read (d0) -> (d0 * 4, 0) by [4, 16], read whole,
      write (d0) -> (d0 * 4, 0) by [4, 16]] symbols ["s0"]
    timeline @core[w : 2] {
      run @scale tiles [(w * ((s0 + 3) floordiv 4)) floordiv 2, ((w + 1) * ((s0 + 3) floordiv 4)) floordiv 2) (%x -> %h)
      wait @core[1 - w] >= 1
      run @mm tiles [((1 - w) * ((s0 + 3) floordiv 4)) floordiv 2, ((2 - w) * ((s0 + 3) floordiv 4)) floordiv 2) (%h, %w -> %y)
    }
  }
}
