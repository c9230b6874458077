//! The main job, against a real service: a FastAPI app run by uvicorn behind `ctx serve`.

mod pass_through;
mod whole;
