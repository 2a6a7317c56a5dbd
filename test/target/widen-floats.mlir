// RUN: headrace-opt %s --target-widen-floats | FileCheck %s

// CHECK-LABEL: func @arithmetic
// CHECK-SAME: (%[[A:.+]]: bf16, %[[B:.+]]: bf16)
func.func @arithmetic(%a: bf16, %b: bf16) -> bf16 {
  // CHECK-DAG: %[[X:.+]] = arith.extf %[[A]] : bf16 to f32
  // CHECK-DAG: %[[Y:.+]] = arith.extf %[[B]] : bf16 to f32
  // CHECK: %[[S:.+]] = arith.addf %[[X]], %[[Y]] : f32
  // CHECK: %[[R:.+]] = arith.truncf %[[S]] : f32 to bf16
  // CHECK: return %[[R]]
  %0 = arith.addf %a, %b : bf16
  return %0 : bf16
}

// Each result is rounded: the sum is not of the unrounded product.
// CHECK-LABEL: func @rounded
func.func @rounded(%a: vector<8xf16>, %b: vector<8xf16>) -> vector<8xf16> {
  // CHECK: arith.mulf {{.*}} : vector<8xf32>
  // CHECK-NEXT: %[[P:.+]] = arith.truncf
  // CHECK: arith.extf %[[P]]
  // CHECK: arith.addf {{.*}} : vector<8xf32>
  // CHECK-NEXT: arith.truncf
  %0 = arith.mulf %a, %b : vector<8xf16>
  %1 = arith.addf %0, %b : vector<8xf16>
  return %1 : vector<8xf16>
}

// CHECK-LABEL: func @others
func.func @others(%a: vector<8xbf16>, %c: f32) -> (i1, vector<8xi32>, bf16) {
  // CHECK: math.floor {{.*}} : vector<8xf32>
  %0 = math.floor %a : vector<8xbf16>
  // CHECK: arith.fptosi {{.*}} : vector<8xf32> to vector<8xi32>
  %1 = arith.fptosi %0 : vector<8xbf16> to vector<8xi32>
  // CHECK: vector.reduction <maximumf>, {{.*}} : vector<8xf32> into f32
  // CHECK-NEXT: arith.truncf {{.*}} : f32 to bf16
  %2 = vector.reduction <maximumf>, %a : vector<8xbf16> into bf16
  // CHECK: arith.cmpf olt, {{.*}} : f32
  %3 = arith.cmpf olt, %2, %2 : bf16
  // CHECK-NOT: arith.addf {{.*}} : bf16
  return %3, %1, %2 : i1, vector<8xi32>, bf16
}

// CHECK-LABEL: func @conversions
func.func @conversions(%a: f64, %i: i64, %h: f16) -> (bf16, f16, f64) {
  // CHECK: %[[A:.+]] = arith.truncf %{{.+}} : f64 to f32
  // CHECK: arith.truncf %[[A]] : f32 to bf16
  %0 = arith.truncf %a : f64 to bf16
  // CHECK: %[[I:.+]] = arith.sitofp %{{.+}} : i64 to f32
  // CHECK: arith.truncf %[[I]] : f32 to f16
  %1 = arith.sitofp %i : i64 to f16
  // CHECK: %[[H:.+]] = arith.extf %{{.+}} : f16 to f32
  // CHECK: arith.extf %[[H]] : f32 to f64
  %2 = arith.extf %h : f16 to f64
  return %0, %1, %2 : bf16, f16, f64
}

// What only moves bits is left alone, and so are wider types.
// CHECK-LABEL: func @moves
func.func @moves(%c: i1, %a: bf16, %b: bf16, %x: f32) -> (bf16, vector<4xbf16>, f32) {
  // CHECK-NOT: arith.extf
  // CHECK: arith.select {{.*}} : bf16
  // CHECK: vector.broadcast {{.*}} : bf16 to vector<4xbf16>
  // CHECK: arith.addf {{.*}} : f32
  %0 = arith.select %c, %a, %b : bf16
  %1 = vector.broadcast %0 : bf16 to vector<4xbf16>
  %2 = arith.addf %x, %x : f32
  return %0, %1, %2 : bf16, vector<4xbf16>, f32
}
