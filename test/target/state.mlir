// State lives in the context: it starts from its weight, is updated in place by
// both entries, and is its own in every context. A stack of states has its slots
// in a row.
//
// RUN: rm -rf %t && mkdir %t && cp %s %t/state.mlir
// RUN: %python %S/../driver/Inputs/make_weights.py %t/state.safetensors first:4
// RUN: hrcc %t/state.mlir -o %t/state.so
// RUN: %cc -O1 -I%source/include %S/Inputs/state.c -o %t/state -ldl
// RUN: %t/state %t/state.so | FileCheck %s
// CHECK: get: 0 1 2 3 0 0 0 0
// CHECK-NEXT: add: 5
// CHECK-NEXT: get: 5 6 7 8 5 5 5 5
// CHECK-NEXT: get: 0 1 2 3 0 0 0 0
// CHECK-NEXT: reset: 0 1 2 3 0 0 0 0
// RUN: headrace-run %t/state.so --describe | FileCheck %s --check-prefix=SIGNATURE
// SIGNATURE: "states":[{"name":"a","dtype":"float32","shape":[4]},{"name":"b","dtype":"float32","shape":[4]}]
module attributes {hr.weights_file = "state.safetensors"} {
  hr.weight @first : tensor<4xf32>
  hr.state @a : tensor<4xf32> initial(@first)
  hr.state @b : tensor<4xf32>
  func.func private @add(tensor<f32> {hr.name = "x", hr.dims = []}) -> (tensor<f32> {hr.name = "y", hr.dims = []}) attributes {hr.entry, hr.symbols = []}
  func.func private @get() -> (tensor<2x4xf32> {hr.name = "both", hr.dims = [#hr.size<"2">, #hr.size<"4">]}) attributes {hr.entry, hr.symbols = []}
  func.func private @add_stage(%lo: index, %hi: index, %scratch: memref<?xi8>, %context: memref<?xi8>, %x: memref<?xf32>, %s: memref<?xf32>, %y: memref<?xf32>, %i: index) {
    %c0 = arith.constant 0 : index
    %v = memref.load %x[%c0] : memref<?xf32>
    %vs = vector.broadcast %v : f32 to vector<4xf32>
    %old = vector.load %s[%c0] : memref<?xf32>, vector<4xf32>
    %new = arith.addf %old, %vs : vector<4xf32>
    vector.store %new, %s[%c0] : memref<?xf32>, vector<4xf32>
    memref.store %v, %y[%c0] : memref<?xf32>
    return
  }
  func.func private @get_stage(%lo: index, %hi: index, %scratch: memref<?xi8>, %context: memref<?xi8>, %s: memref<?xf32>, %y: memref<?xf32>, %i: index) {
    %c0 = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %old = vector.load %s[%c0] : memref<?xf32>, vector<4xf32>
    %o = arith.muli %i, %c4 : index
    vector.store %old, %y[%o] : memref<?xf32>, vector<4xf32>
    return
  }
  sched.program @add_1 of @add workers 1 {
    arena @dram = 0
    %x = buffer input 0 [] f32
    %s = buffer state [@a, @b] [4] f32
    %y = buffer output 0 [] f32
    stage @add_stage grid [1] operands [read whole, readwrite whole, write whole]
    timeline @core[w : 1] {
      repeat 2 (i) {
        run @add_stage tiles [0, 1) (%x -> %s[i], %y)
      }
    }
  }
  sched.program @get_1 of @get workers 1 {
    arena @dram = 0
    %s = buffer state [@a, @b] [4] f32
    %y = buffer output 0 [2, 4] f32
    stage @get_stage grid [1] operands [read whole, write whole]
    timeline @core[w : 1] {
      repeat 2 (i) {
        run @get_stage tiles [0, 1) (%s[i] -> %y)
      }
    }
  }
}
