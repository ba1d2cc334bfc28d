# SPDX-License-Identifier: Apache-2.0

# Flags of all our C++: warnings are errors here, never in what we include.
function(sluice_compile_flags target)
    # clang (the fuzz preset) has no =local, and finds deprecated names within libstdc++ 12.
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Werror $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
        -Wnon-virtual-dtor -Woverloaded-virtual -fno-strict-overflow -fstack-protector-strong
        $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
    if(SLUICE_FUZZ)
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
    if(SLUICE_SANITIZE)
        target_compile_options(${target} PUBLIC -fsanitize=address,undefined
            -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
        target_link_options(${target} PUBLIC -fsanitize=address,undefined)
    endif()
endfunction()

# What is tested is optimised; the tests themselves are compiled in half the time.
function(sluice_unoptimised target)
    target_compile_options(${target} PRIVATE -O0)
endfunction()

# One module of libsluice: src/<name>, a static library sluice_<name>.
#   sluice_module(plan SOURCES ring.cpp ids.cpp DEPS sluice_config)
function(sluice_module name)
    cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
    add_library(sluice_${name} STATIC ${arg_SOURCES})
    target_include_directories(sluice_${name} PUBLIC
        $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/abi>)
    target_link_libraries(sluice_${name} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
    sluice_compile_flags(sluice_${name})
    set_property(GLOBAL APPEND PROPERTY SLUICE_MODULES sluice_${name})
endfunction()

# A test program with GoogleTest, registered with ctest as one test.
#   sluice_test(unit_ring LABEL unit SOURCES ring_test.cpp MODULES plan base [ROOT] [OPTIMISED])
# ROOT: it needs privileges; it exits 77 where it has none, which ctest counts as skipped.
# OPTIMISED: it calculates much itself.
function(sluice_test name)
    cmake_parse_arguments(arg "ROOT;OPTIMISED" "LABEL;TIMEOUT" "SOURCES;MODULES;DEPS" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    foreach(module IN LISTS arg_MODULES)
        target_link_libraries(${name} PRIVATE sluice_${module})
    endforeach()
    target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gtest GTest::gtest_main Threads::Threads)
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    sluice_compile_flags(${name})
    if(NOT arg_OPTIMISED)
        sluice_unoptimised(${name})
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABEL}" SKIP_RETURN_CODE 77
                         TIMEOUT ${arg_TIMEOUT})
    if(arg_ROOT)
        set_tests_properties(${name} PROPERTIES RESOURCE_LOCK kernel)
    endif()
endfunction()
