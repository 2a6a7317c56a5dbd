// RUN: headrace-opt %s --split-input-file -mlir-print-op-on-diagnostic=false --pass-pipeline='builtin.module(hr-fill-weights,hr-merge-contractions)' 2>/dev/null | FileCheck %s
// RUN: headrace-opt %s --split-input-file -mlir-print-op-on-diagnostic=false --pass-pipeline='builtin.module(hr-fill-weights,hr-evaluate-entries{compare=hr-merge-contractions tolerance=0})' -o /dev/null

// Two linear layers of one tensor, of 8 and 3 outputs, biases included: one
// contraction, one addition, two slices. The old weights are gone.

// CHECK: hr.weight @q.merged : tensor<11x8xf32>
// CHECK: hr.weight @qb.merged : tensor<11xf32>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @linears
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{.+}} : tensor<4x11xf32>)
// CHECK: %[[Y:.+]] = linalg.generic
// CHECK-SAME: outs(%{{.+}} : tensor<4x11xf32>)
// CHECK-NOT: linalg.generic
// CHECK: %[[Q:.+]] = hr.view %[[Y]] at [#hr.size<"0">, #hr.size<"0">]
// CHECK: %[[K:.+]] = hr.view %[[Y]] at [#hr.size<"0">, #hr.size<"8">]
// CHECK: return %[[Q]], %[[K]]
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#x = affine_map<(d0, d1, d2) -> (d0, d2)>
#w = affine_map<(d0, d1, d2) -> (d1, d2)>
#y = affine_map<(d0, d1, d2) -> (d0, d1)>
hr.weight @q : tensor<8x8xf32>
hr.weight @qb : tensor<8xf32>
hr.weight @k : tensor<3x8xf32>
hr.weight @kb : tensor<3xf32>
func.func @linears(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, %z: tensor<4x8xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"8">]})
    -> (tensor<4x8xf32> {hr.name = "q", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, tensor<4x3xf32> {hr.name = "k", hr.dims = [#hr.size<"4">, #hr.size<"3">]}) {
  %zero = arith.constant 0.0 : f32
  %wq = hr.constant [@q] : tensor<8x8xf32>
  %bq = hr.constant [@qb] : tensor<8xf32>
  %eq = tensor.empty() : tensor<4x8xf32>
  %fq = linalg.fill ins(%zero : f32) outs(%eq : tensor<4x8xf32>) -> tensor<4x8xf32>
  %cq = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wq : tensor<4x8xf32>, tensor<8x8xf32>) outs(%fq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %dq = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%cq, %bq : tensor<4x8xf32>, tensor<8xf32>) outs(%eq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %wk = hr.constant [@k] : tensor<3x8xf32>
  %bk = hr.constant [@kb] : tensor<3xf32>
  %ek = tensor.empty() : tensor<4x3xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<4x3xf32>) -> tensor<4x3xf32>
  %ck = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wk : tensor<4x8xf32>, tensor<3x8xf32>) outs(%fk : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  %dk = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%ck, %bk : tensor<4x3xf32>, tensor<3xf32>) outs(%ek : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  return %dq, %dk : tensor<4x8xf32>, tensor<4x3xf32>
}

// -----

// Near miss: contractions of two tensors.

// CHECK-LABEL: func.func @two_tensors
// CHECK-NOT: 4x11xf32
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#x = affine_map<(d0, d1, d2) -> (d0, d2)>
#w = affine_map<(d0, d1, d2) -> (d1, d2)>
#y = affine_map<(d0, d1, d2) -> (d0, d1)>
hr.weight @q : tensor<8x8xf32>
hr.weight @qb : tensor<8xf32>
hr.weight @k : tensor<3x8xf32>
hr.weight @kb : tensor<3xf32>
func.func @two_tensors(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, %z: tensor<4x8xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"8">]})
    -> (tensor<4x8xf32> {hr.name = "q", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, tensor<4x3xf32> {hr.name = "k", hr.dims = [#hr.size<"4">, #hr.size<"3">]}) {
  %zero = arith.constant 0.0 : f32
  %wq = hr.constant [@q] : tensor<8x8xf32>
  %bq = hr.constant [@qb] : tensor<8xf32>
  %eq = tensor.empty() : tensor<4x8xf32>
  %fq = linalg.fill ins(%zero : f32) outs(%eq : tensor<4x8xf32>) -> tensor<4x8xf32>
  %cq = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wq : tensor<4x8xf32>, tensor<8x8xf32>) outs(%fq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %dq = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%cq, %bq : tensor<4x8xf32>, tensor<8xf32>) outs(%eq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %wk = hr.constant [@k] : tensor<3x8xf32>
  %bk = hr.constant [@kb] : tensor<3xf32>
  %ek = tensor.empty() : tensor<4x3xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<4x3xf32>) -> tensor<4x3xf32>
  %ck = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%z, %wk : tensor<4x8xf32>, tensor<3x8xf32>) outs(%fk : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  %dk = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%ck, %bk : tensor<4x3xf32>, tensor<3xf32>) outs(%ek : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  return %dq, %dk : tensor<4x8xf32>, tensor<4x3xf32>
}

// -----

// Near miss: another entry reads one of the weights by itself; joined, its
// bytes would be stored twice.

// CHECK-LABEL: func.func @first
// CHECK-NOT: 4x11xf32
// CHECK-LABEL: func.func @second
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#x = affine_map<(d0, d1, d2) -> (d0, d2)>
#w = affine_map<(d0, d1, d2) -> (d1, d2)>
#y = affine_map<(d0, d1, d2) -> (d0, d1)>
hr.weight @q : tensor<8x8xf32>
hr.weight @qb : tensor<8xf32>
hr.weight @k : tensor<3x8xf32>
hr.weight @kb : tensor<3xf32>
func.func @first(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, %z: tensor<4x8xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"8">]})
    -> (tensor<4x8xf32> {hr.name = "q", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, tensor<4x3xf32> {hr.name = "k", hr.dims = [#hr.size<"4">, #hr.size<"3">]}) {
  %zero = arith.constant 0.0 : f32
  %wq = hr.constant [@q] : tensor<8x8xf32>
  %bq = hr.constant [@qb] : tensor<8xf32>
  %eq = tensor.empty() : tensor<4x8xf32>
  %fq = linalg.fill ins(%zero : f32) outs(%eq : tensor<4x8xf32>) -> tensor<4x8xf32>
  %cq = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wq : tensor<4x8xf32>, tensor<8x8xf32>) outs(%fq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %dq = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%cq, %bq : tensor<4x8xf32>, tensor<8xf32>) outs(%eq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %wk = hr.constant [@k] : tensor<3x8xf32>
  %bk = hr.constant [@kb] : tensor<3xf32>
  %ek = tensor.empty() : tensor<4x3xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<4x3xf32>) -> tensor<4x3xf32>
  %ck = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wk : tensor<4x8xf32>, tensor<3x8xf32>) outs(%fk : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  %dk = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%ck, %bk : tensor<4x3xf32>, tensor<3xf32>) outs(%ek : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  return %dq, %dk : tensor<4x8xf32>, tensor<4x3xf32>
}
func.func @second(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, %z: tensor<4x8xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"8">]})
    -> (tensor<4x8xf32> {hr.name = "q", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, tensor<4x3xf32> {hr.name = "k", hr.dims = [#hr.size<"4">, #hr.size<"3">]}) {
  %zero = arith.constant 0.0 : f32
  %wq = hr.constant [@q] : tensor<8x8xf32>
  %bq = hr.constant [@qb] : tensor<8xf32>
  %eq = tensor.empty() : tensor<4x8xf32>
  %fq = linalg.fill ins(%zero : f32) outs(%eq : tensor<4x8xf32>) -> tensor<4x8xf32>
  %cq = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wq : tensor<4x8xf32>, tensor<8x8xf32>) outs(%fq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %dq = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%cq, %bq : tensor<4x8xf32>, tensor<8xf32>) outs(%eq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %wk = hr.constant [@k] : tensor<3x8xf32>
  %bk = hr.constant [@kb] : tensor<3xf32>
  %ek = tensor.empty() : tensor<4x3xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<4x3xf32>) -> tensor<4x3xf32>
  %ck = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%z, %wk : tensor<4x8xf32>, tensor<3x8xf32>) outs(%fk : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  %dk = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%ck, %bk : tensor<4x3xf32>, tensor<3xf32>) outs(%ek : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  return %dq, %dk : tensor<4x8xf32>, tensor<4x3xf32>
}

// -----

// Two entries that join the same weights share what is joined.

// CHECK: hr.weight @q.merged :
// CHECK: hr.weight @qb.merged :
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @first
// CHECK: hr.constant [@q.merged]
// CHECK-LABEL: func.func @second
// CHECK: hr.constant [@q.merged]
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#x = affine_map<(d0, d1, d2) -> (d0, d2)>
#w = affine_map<(d0, d1, d2) -> (d1, d2)>
#y = affine_map<(d0, d1, d2) -> (d0, d1)>
hr.weight @q : tensor<8x8xf32>
hr.weight @qb : tensor<8xf32>
hr.weight @k : tensor<3x8xf32>
hr.weight @kb : tensor<3xf32>
func.func @first(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, %z: tensor<4x8xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"8">]})
    -> (tensor<4x8xf32> {hr.name = "q", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, tensor<4x3xf32> {hr.name = "k", hr.dims = [#hr.size<"4">, #hr.size<"3">]}) {
  %zero = arith.constant 0.0 : f32
  %wq = hr.constant [@q] : tensor<8x8xf32>
  %bq = hr.constant [@qb] : tensor<8xf32>
  %eq = tensor.empty() : tensor<4x8xf32>
  %fq = linalg.fill ins(%zero : f32) outs(%eq : tensor<4x8xf32>) -> tensor<4x8xf32>
  %cq = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wq : tensor<4x8xf32>, tensor<8x8xf32>) outs(%fq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %dq = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%cq, %bq : tensor<4x8xf32>, tensor<8xf32>) outs(%eq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %wk = hr.constant [@k] : tensor<3x8xf32>
  %bk = hr.constant [@kb] : tensor<3xf32>
  %ek = tensor.empty() : tensor<4x3xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<4x3xf32>) -> tensor<4x3xf32>
  %ck = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %wk : tensor<4x8xf32>, tensor<3x8xf32>) outs(%fk : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  %dk = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%ck, %bk : tensor<4x3xf32>, tensor<3xf32>) outs(%ek : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  return %dq, %dk : tensor<4x8xf32>, tensor<4x3xf32>
}
func.func @second(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, %z: tensor<4x8xf32> {hr.name = "z", hr.dims = [#hr.size<"4">, #hr.size<"8">]})
    -> (tensor<4x8xf32> {hr.name = "q", hr.dims = [#hr.size<"4">, #hr.size<"8">]}, tensor<4x3xf32> {hr.name = "k", hr.dims = [#hr.size<"4">, #hr.size<"3">]}) {
  %zero = arith.constant 0.0 : f32
  %wq = hr.constant [@q] : tensor<8x8xf32>
  %bq = hr.constant [@qb] : tensor<8xf32>
  %eq = tensor.empty() : tensor<4x8xf32>
  %fq = linalg.fill ins(%zero : f32) outs(%eq : tensor<4x8xf32>) -> tensor<4x8xf32>
  %cq = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%z, %wq : tensor<4x8xf32>, tensor<8x8xf32>) outs(%fq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %dq = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%cq, %bq : tensor<4x8xf32>, tensor<8xf32>) outs(%eq : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  %wk = hr.constant [@k] : tensor<3x8xf32>
  %bk = hr.constant [@kb] : tensor<3xf32>
  %ek = tensor.empty() : tensor<4x3xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<4x3xf32>) -> tensor<4x3xf32>
  %ck = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%z, %wk : tensor<4x8xf32>, tensor<3x8xf32>) outs(%fk : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  %dk = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%ck, %bk : tensor<4x3xf32>, tensor<3xf32>) outs(%ek : tensor<4x3xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x3xf32>
  return %dq, %dk : tensor<4x8xf32>, tensor<4x3xf32>
}
